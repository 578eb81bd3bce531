-- One instance with rows in every table that it owns; ids are a stem and a number, 25 characters like a cuid.
INSERT INTO "Instance" (id, name, "connectionStatus", "ownerJid", "profileName", integration, number, token,
                        "clientName", "updatedAt")
VALUES (%(id)s, %(name)s, %(status)s::"InstanceConnectionStatus", '5511900000000@s.whatsapp.net', 'Demo shop',
        'WHATSAPP-BAILEYS', '5511900000000', %(token)s, %(client_name)s, now());

INSERT INTO "Session" (id, "sessionId", creds) VALUES (%(stem)s || '00000001', %(id)s, '{"noiseKey":"secret"}');

INSERT INTO "Chat" (id, "remoteJid", name, labels, "unreadMessages", "updatedAt", "instanceId")
SELECT %(stem)s || lpad(n::text, 8, '0'), '55119' || lpad(n::text, 8, '0') || '@s.whatsapp.net', 'Chat ' || n, '["1"]',
       n %% 3, now(), %(id)s
FROM generate_series(1, %(chats)s) AS n;

INSERT INTO "Contact" (id, "remoteJid", "pushName", "updatedAt", "instanceId")
SELECT %(stem)s || lpad(n::text, 8, '0'), '55119' || lpad(n::text, 8, '0') || '@s.whatsapp.net', 'Contact ' || n, now(),
       %(id)s
FROM generate_series(1, %(contacts)s) AS n;

INSERT INTO "IntegrationSession" (id, "sessionId", "remoteJid", "pushName", status, type, "botId", "updatedAt",
                                  "instanceId")
SELECT %(stem)s || lpad(n::text, 8, '0'), 'session-' || n, '55119' || lpad(n::text, 8, '0') || '@s.whatsapp.net',
       'Contact ' || n, 'opened', 'typebot', %(stem)s || '00000001', now(), %(id)s
FROM generate_series(1, %(sessions)s) AS n;

INSERT INTO "Message" (id, key, "pushName", "messageType", message, source, "messageTimestamp", "instanceId", status,
                       "sessionId")
SELECT %(stem)s || lpad(n::text, 8, '0'),
       jsonb_build_object('id', '3EB0' || lpad(n::text, 16, '0'), 'fromMe', n %% 2 = 0, 'remoteJid', jid),
       'Contact', 'conversation', jsonb_build_object('conversation', 'Message number ' || n || ' of a demo shop'),
       'android', 1760000000 + n, %(id)s, 'READ',
       CASE WHEN n %% 4 = 0 AND %(sessions)s > 0
            THEN %(stem)s || lpad((1 + n / 4 %% greatest(%(sessions)s, 1))::text, 8, '0') END
FROM generate_series(1, %(messages)s) AS n,
     LATERAL (SELECT '55119' || lpad((1 + n %% greatest(%(contacts)s, 1))::text, 8, '0') || '@s.whatsapp.net' AS jid) AS chat;

INSERT INTO "MessageUpdate" (id, "keyId", "remoteJid", "fromMe", status, "messageId", "instanceId")
SELECT %(stem)s || lpad(((n - 1) * %(updates_per_message)s + m)::text, 8, '0'), '3EB0' || lpad(n::text, 16, '0'),
       '55119' || lpad((1 + n %% greatest(%(contacts)s, 1))::text, 8, '0') || '@s.whatsapp.net', n %% 2 = 0,
       CASE m WHEN 1 THEN 'DELIVERY_ACK' ELSE 'READ' END, %(stem)s || lpad(n::text, 8, '0'), %(id)s
FROM generate_series(1, %(messages)s) AS n, generate_series(1, %(updates_per_message)s) AS m;

INSERT INTO "Media" (id, "fileName", type, mimetype, "messageId", "instanceId")
SELECT %(stem)s || lpad(n::text, 8, '0'),
       %(id)s || '/55119' || lpad((1 + n %% greatest(%(contacts)s, 1))::text, 8, '0')
              || '@s.whatsapp.net/imageMessage/' || lpad(n::text, 8, '0') || '.jpg',
       'image', 'image/jpeg', %(stem)s || lpad(n::text, 8, '0'), %(id)s
FROM generate_series(1, least(%(media)s, %(messages)s)) AS n;

INSERT INTO "Webhook" (id, url, headers, enabled, events, "webhookByEvents", "updatedAt", "instanceId")
VALUES (%(stem)s || '00000001', %(webhook_url)s, %(webhook_headers)s, %(webhook_url)s <> '', %(webhook_events)s,
        %(webhook_by_events)s, now(), %(id)s);

INSERT INTO "Chatwoot" (id, enabled, "accountId", token, url, "nameInbox", "updatedAt", "instanceId")
VALUES (%(stem)s || '00000001', true, '1', 'chatwoot-token', 'http://127.0.0.1:9/', 'Inbox', now(), %(id)s);

INSERT INTO "Label" (id, "labelId", name, color, "updatedAt", "instanceId")
SELECT %(stem)s || lpad(n::text, 8, '0'), n::text, 'Label ' || n, n::text, now(), %(id)s FROM generate_series(1, 3) AS n;

INSERT INTO "Proxy" (id, enabled, host, port, protocol, username, password, "updatedAt", "instanceId")
VALUES (%(stem)s || '00000001', false, '127.0.0.1', '9', 'http', 'demo', 'demo', now(), %(id)s);

INSERT INTO "Setting" (id, "rejectCall", "updatedAt", "instanceId") VALUES (%(stem)s || '00000001', true, now(), %(id)s);
INSERT INTO "Rabbitmq" (id, enabled, events, "updatedAt", "instanceId")
VALUES (%(stem)s || '00000001', true, '["MESSAGES_UPSERT"]', now(), %(id)s);
INSERT INTO "Nats" (id, enabled, events, "updatedAt", "instanceId")
VALUES (%(stem)s || '00000001', true, '["MESSAGES_UPSERT"]', now(), %(id)s);
INSERT INTO "Sqs" (id, enabled, events, "updatedAt", "instanceId")
VALUES (%(stem)s || '00000001', true, '["MESSAGES_UPSERT"]', now(), %(id)s);
INSERT INTO "Kafka" (id, enabled, events, "updatedAt", "instanceId")
VALUES (%(stem)s || '00000001', true, '["MESSAGES_UPSERT"]', now(), %(id)s);
INSERT INTO "Websocket" (id, enabled, events, "updatedAt", "instanceId")
VALUES (%(stem)s || '00000001', true, '["MESSAGES_UPSERT"]', now(), %(id)s);
INSERT INTO "Pusher" (id, enabled, "appId", key, secret, cluster, "useTLS", events, "updatedAt", "instanceId")
VALUES (%(stem)s || '00000001', true, '1', 'demo', 'demo', 'eu', true, '["MESSAGES_UPSERT"]', now(), %(id)s);

INSERT INTO "Template" (id, "templateId", name, template, "updatedAt", "instanceId")
VALUES (%(stem)s || '00000001', %(tag)s || '-template-id', %(tag)s || '-template', '{"language":"en"}', now(), %(id)s);

INSERT INTO "Typebot" (id, url, typebot, "updatedAt", "instanceId")
SELECT %(stem)s || lpad(n::text, 8, '0'), 'http://127.0.0.1:9/', 'flow-' || n, now(), %(id)s FROM generate_series(1, 2) AS n;
INSERT INTO "TypebotSetting" (id, "typebotIdFallback", "updatedAt", "instanceId")
VALUES (%(stem)s || '00000001', %(stem)s || '00000001', now(), %(id)s);

INSERT INTO "Dify" (id, "botType", "apiUrl", "apiKey", "updatedAt", "instanceId")
SELECT %(stem)s || lpad(n::text, 8, '0'), 'agent', 'http://127.0.0.1:9/', 'demo', now(), %(id)s
FROM generate_series(1, 2) AS n;
INSERT INTO "DifySetting" (id, "difyIdFallback", "updatedAt", "instanceId")
VALUES (%(stem)s || '00000001', %(stem)s || '00000001', now(), %(id)s);

INSERT INTO "EvolutionBot" (id, "apiUrl", "apiKey", "updatedAt", "instanceId")
SELECT %(stem)s || lpad(n::text, 8, '0'), 'http://127.0.0.1:9/', 'demo', now(), %(id)s FROM generate_series(1, 2) AS n;
INSERT INTO "EvolutionBotSetting" (id, "botIdFallback", "updatedAt", "instanceId")
VALUES (%(stem)s || '00000001', %(stem)s || '00000001', now(), %(id)s);

INSERT INTO "Flowise" (id, "apiUrl", "apiKey", "updatedAt", "instanceId")
SELECT %(stem)s || lpad(n::text, 8, '0'), 'http://127.0.0.1:9/', 'demo', now(), %(id)s FROM generate_series(1, 2) AS n;
INSERT INTO "FlowiseSetting" (id, "flowiseIdFallback", "updatedAt", "instanceId")
VALUES (%(stem)s || '00000001', %(stem)s || '00000001', now(), %(id)s);

INSERT INTO "N8n" (id, "webhookUrl", "updatedAt", "instanceId")
SELECT %(stem)s || lpad(n::text, 8, '0'), 'http://127.0.0.1:9/', now(), %(id)s FROM generate_series(1, 2) AS n;
INSERT INTO "N8nSetting" (id, "n8nIdFallback", "updatedAt", "instanceId")
VALUES (%(stem)s || '00000001', %(stem)s || '00000001', now(), %(id)s);

INSERT INTO "Evoai" (id, "agentUrl", "apiKey", "updatedAt", "instanceId")
SELECT %(stem)s || lpad(n::text, 8, '0'), 'http://127.0.0.1:9/', 'demo', now(), %(id)s FROM generate_series(1, 2) AS n;
INSERT INTO "EvoaiSetting" (id, "evoaiIdFallback", "updatedAt", "instanceId")
VALUES (%(stem)s || '00000001', %(stem)s || '00000001', now(), %(id)s);

INSERT INTO "OpenaiCreds" (id, name, "apiKey", "updatedAt", "instanceId")
VALUES (%(stem)s || '00000001', %(tag)s || '-creds', 'sk-demo-' || %(tag)s, now(), %(id)s);
INSERT INTO "OpenaiBot" (id, "botType", model, "openaiCredsId", "updatedAt", "instanceId")
SELECT %(stem)s || lpad(n::text, 8, '0'), 'chatCompletion', 'demo-model', %(stem)s || '00000001', now(), %(id)s
FROM generate_series(1, 2) AS n;
INSERT INTO "OpenaiSetting" (id, "openaiCredsId", "openaiIdFallback", "updatedAt", "instanceId")
VALUES (%(stem)s || '00000001', %(stem)s || '00000001', %(stem)s || '00000001', now(), %(id)s);
