-- The tables of an Evolution API 2.3.7 database on PostgreSQL, with the indexes and delete rules that its deletion meets.

CREATE TYPE "InstanceConnectionStatus" AS ENUM ('open', 'close', 'connecting');
CREATE TYPE "DeviceMessage" AS ENUM ('ios', 'android', 'web', 'unknown', 'desktop');
CREATE TYPE "SessionStatus" AS ENUM ('opened', 'closed', 'paused');
CREATE TYPE "TriggerType" AS ENUM ('all', 'keyword', 'none', 'advanced');
CREATE TYPE "TriggerOperator" AS ENUM ('contains', 'equals', 'startsWith', 'endsWith', 'regex');
CREATE TYPE "OpenaiBotType" AS ENUM ('assistant', 'chatCompletion');
CREATE TYPE "DifyBotType" AS ENUM ('chatBot', 'textGenerator', 'agent', 'workflow');

CREATE TABLE "Instance" (
    "id" text PRIMARY KEY, "name" varchar(255) NOT NULL,
    "connectionStatus" "InstanceConnectionStatus" NOT NULL DEFAULT 'open', "ownerJid" varchar(100),
    "profileName" varchar(100), "profilePicUrl" varchar(500), "integration" varchar(100),
    "number" varchar(100), "businessId" varchar(100), "token" varchar(255), "clientName" varchar(100),
    "disconnectionReasonCode" integer, "disconnectionObject" jsonb, "disconnectionAt" timestamp(6),
    "createdAt" timestamp(6) DEFAULT CURRENT_TIMESTAMP, "updatedAt" timestamp(6)
);

CREATE TABLE "Session" (
    "id" text PRIMARY KEY, "sessionId" text NOT NULL, "creds" text,
    "createdAt" timestamp(6) NOT NULL DEFAULT CURRENT_TIMESTAMP
);

CREATE TABLE "Chat" (
    "id" text PRIMARY KEY, "remoteJid" varchar(100) NOT NULL, "name" varchar(100), "labels" jsonb,
    "unreadMessages" integer NOT NULL DEFAULT 0, "createdAt" timestamp(6) DEFAULT CURRENT_TIMESTAMP,
    "updatedAt" timestamp(6), "instanceId" text NOT NULL
);

CREATE TABLE "Contact" (
    "id" text PRIMARY KEY, "remoteJid" varchar(100) NOT NULL, "pushName" varchar(100),
    "profilePicUrl" varchar(500), "createdAt" timestamp(6) DEFAULT CURRENT_TIMESTAMP,
    "updatedAt" timestamp(6), "instanceId" text NOT NULL
);

CREATE TABLE "IntegrationSession" (
    "id" text PRIMARY KEY, "sessionId" varchar(255) NOT NULL, "remoteJid" varchar(100) NOT NULL,
    "pushName" text, "status" "SessionStatus" NOT NULL, "awaitUser" boolean NOT NULL DEFAULT false,
    "parameters" jsonb, "context" jsonb, "type" varchar(100), "botId" text,
    "createdAt" timestamp(6) DEFAULT CURRENT_TIMESTAMP, "updatedAt" timestamp(6) NOT NULL,
    "instanceId" text NOT NULL
);

CREATE TABLE "Message" (
    "id" text PRIMARY KEY, "key" jsonb NOT NULL, "pushName" varchar(100), "participant" varchar(100),
    "messageType" varchar(100) NOT NULL, "message" jsonb NOT NULL, "contextInfo" jsonb,
    "source" "DeviceMessage" NOT NULL, "messageTimestamp" integer NOT NULL, "chatwootMessageId" integer,
    "chatwootInboxId" integer, "chatwootConversationId" integer,
    "chatwootContactInboxSourceId" varchar(100), "chatwootIsRead" boolean, "instanceId" text NOT NULL,
    "webhookUrl" varchar(500), "status" varchar(30), "sessionId" text
);

CREATE TABLE "MessageUpdate" (
    "id" text PRIMARY KEY, "keyId" varchar(100) NOT NULL, "remoteJid" varchar(100) NOT NULL,
    "fromMe" boolean NOT NULL, "participant" varchar(100), "pollUpdates" jsonb,
    "status" varchar(30) NOT NULL, "messageId" text NOT NULL, "instanceId" text NOT NULL
);

CREATE TABLE "Media" (
    "id" text PRIMARY KEY, "fileName" varchar(500) NOT NULL, "type" varchar(100) NOT NULL,
    "mimetype" varchar(100) NOT NULL, "createdAt" date DEFAULT CURRENT_TIMESTAMP,
    "messageId" text NOT NULL, "instanceId" text NOT NULL
);

CREATE TABLE "Webhook" (
    "id" text PRIMARY KEY, "url" varchar(500) NOT NULL, "headers" jsonb, "enabled" boolean DEFAULT true,
    "events" jsonb, "webhookByEvents" boolean DEFAULT false, "webhookBase64" boolean DEFAULT false,
    "createdAt" timestamp(6) DEFAULT CURRENT_TIMESTAMP, "updatedAt" timestamp(6) NOT NULL,
    "instanceId" text NOT NULL
);

CREATE TABLE "Chatwoot" (
    "id" text PRIMARY KEY, "enabled" boolean DEFAULT true, "accountId" varchar(100),
    "token" varchar(100), "url" varchar(500), "nameInbox" varchar(100), "signMsg" boolean DEFAULT false,
    "signDelimiter" varchar(100), "number" varchar(100), "reopenConversation" boolean DEFAULT false,
    "conversationPending" boolean DEFAULT false, "mergeBrazilContacts" boolean DEFAULT false,
    "importContacts" boolean DEFAULT false, "importMessages" boolean DEFAULT false,
    "daysLimitImportMessages" integer, "organization" varchar(100), "logo" varchar(500),
    "ignoreJids" jsonb, "createdAt" timestamp(6) DEFAULT CURRENT_TIMESTAMP,
    "updatedAt" timestamp(6) NOT NULL, "instanceId" text NOT NULL
);

CREATE TABLE "Label" (
    "id" text PRIMARY KEY, "labelId" varchar(100), "name" varchar(100) NOT NULL,
    "color" varchar(100) NOT NULL, "predefinedId" varchar(100),
    "createdAt" timestamp(6) DEFAULT CURRENT_TIMESTAMP, "updatedAt" timestamp(6) NOT NULL,
    "instanceId" text NOT NULL
);

CREATE TABLE "Proxy" (
    "id" text PRIMARY KEY, "enabled" boolean NOT NULL DEFAULT false, "host" varchar(100) NOT NULL,
    "port" varchar(100) NOT NULL, "protocol" varchar(100) NOT NULL, "username" varchar(100) NOT NULL,
    "password" varchar(100) NOT NULL, "createdAt" timestamp(6) DEFAULT CURRENT_TIMESTAMP,
    "updatedAt" timestamp(6) NOT NULL, "instanceId" text NOT NULL
);

CREATE TABLE "Setting" (
    "id" text PRIMARY KEY, "rejectCall" boolean NOT NULL DEFAULT false, "msgCall" varchar(100),
    "groupsIgnore" boolean NOT NULL DEFAULT false, "alwaysOnline" boolean NOT NULL DEFAULT false,
    "readMessages" boolean NOT NULL DEFAULT false, "readStatus" boolean NOT NULL DEFAULT false,
    "syncFullHistory" boolean NOT NULL DEFAULT false, "wavoipToken" varchar(100),
    "createdAt" timestamp(6) DEFAULT CURRENT_TIMESTAMP, "updatedAt" timestamp(6) NOT NULL,
    "instanceId" text NOT NULL
);

CREATE TABLE "Rabbitmq" (
    "id" text PRIMARY KEY, "enabled" boolean NOT NULL DEFAULT false, "events" jsonb NOT NULL,
    "createdAt" timestamp(6) DEFAULT CURRENT_TIMESTAMP, "updatedAt" timestamp(6) NOT NULL,
    "instanceId" text NOT NULL
);

CREATE TABLE "Nats" (
    "id" text PRIMARY KEY, "enabled" boolean NOT NULL DEFAULT false, "events" jsonb NOT NULL,
    "createdAt" timestamp(6) DEFAULT CURRENT_TIMESTAMP, "updatedAt" timestamp(6) NOT NULL,
    "instanceId" text NOT NULL
);

CREATE TABLE "Sqs" (
    "id" text PRIMARY KEY, "enabled" boolean NOT NULL DEFAULT false, "events" jsonb NOT NULL,
    "createdAt" timestamp(6) DEFAULT CURRENT_TIMESTAMP, "updatedAt" timestamp(6) NOT NULL,
    "instanceId" text NOT NULL
);

CREATE TABLE "Kafka" (
    "id" text PRIMARY KEY, "enabled" boolean NOT NULL DEFAULT false, "events" jsonb NOT NULL,
    "createdAt" timestamp(6) DEFAULT CURRENT_TIMESTAMP, "updatedAt" timestamp(6) NOT NULL,
    "instanceId" text NOT NULL
);

CREATE TABLE "Websocket" (
    "id" text PRIMARY KEY, "enabled" boolean NOT NULL DEFAULT false, "events" jsonb NOT NULL,
    "createdAt" timestamp(6) DEFAULT CURRENT_TIMESTAMP, "updatedAt" timestamp(6) NOT NULL,
    "instanceId" text NOT NULL
);

CREATE TABLE "Pusher" (
    "id" text PRIMARY KEY, "enabled" boolean NOT NULL DEFAULT false, "appId" varchar(100) NOT NULL,
    "key" varchar(100) NOT NULL, "secret" varchar(100) NOT NULL, "cluster" varchar(100) NOT NULL,
    "useTLS" boolean NOT NULL DEFAULT false, "events" jsonb NOT NULL,
    "createdAt" timestamp(6) DEFAULT CURRENT_TIMESTAMP, "updatedAt" timestamp(6) NOT NULL,
    "instanceId" text NOT NULL
);

CREATE TABLE "Template" (
    "id" text PRIMARY KEY, "templateId" varchar(255) NOT NULL, "name" varchar(255) NOT NULL,
    "template" jsonb NOT NULL, "webhookUrl" varchar(500),
    "createdAt" timestamp(6) DEFAULT CURRENT_TIMESTAMP, "updatedAt" timestamp(6) NOT NULL,
    "instanceId" text NOT NULL
);

CREATE TABLE "Typebot" (
    "id" text PRIMARY KEY, "enabled" boolean NOT NULL DEFAULT true, "description" varchar(255),
    "url" varchar(500) NOT NULL, "typebot" varchar(100) NOT NULL, "expire" integer DEFAULT 0,
    "keywordFinish" varchar(100), "delayMessage" integer, "unknownMessage" varchar(100),
    "listeningFromMe" boolean DEFAULT false, "stopBotFromMe" boolean DEFAULT false,
    "keepOpen" boolean DEFAULT false, "debounceTime" integer, "ignoreJids" jsonb,
    "splitMessages" boolean DEFAULT false, "timePerChar" integer DEFAULT 50,
    "triggerType" "TriggerType", "triggerOperator" "TriggerOperator", "triggerValue" text,
    "createdAt" timestamp(6) DEFAULT CURRENT_TIMESTAMP, "updatedAt" timestamp(6) NOT NULL,
    "instanceId" text NOT NULL
);

CREATE TABLE "Dify" (
    "id" text PRIMARY KEY, "enabled" boolean NOT NULL DEFAULT true, "description" varchar(255),
    "botType" "DifyBotType" NOT NULL, "apiUrl" varchar(255), "apiKey" varchar(255),
    "expire" integer DEFAULT 0, "keywordFinish" varchar(100), "delayMessage" integer,
    "unknownMessage" varchar(100), "listeningFromMe" boolean DEFAULT false,
    "stopBotFromMe" boolean DEFAULT false, "keepOpen" boolean DEFAULT false, "debounceTime" integer,
    "ignoreJids" jsonb, "splitMessages" boolean DEFAULT false, "timePerChar" integer DEFAULT 50,
    "triggerType" "TriggerType", "triggerOperator" "TriggerOperator", "triggerValue" text,
    "createdAt" timestamp(6) DEFAULT CURRENT_TIMESTAMP, "updatedAt" timestamp(6) NOT NULL,
    "instanceId" text NOT NULL
);

CREATE TABLE "EvolutionBot" (
    "id" text PRIMARY KEY, "enabled" boolean NOT NULL DEFAULT true, "description" varchar(255),
    "apiUrl" varchar(255), "apiKey" varchar(255), "expire" integer DEFAULT 0,
    "keywordFinish" varchar(100), "delayMessage" integer, "unknownMessage" varchar(100),
    "listeningFromMe" boolean DEFAULT false, "stopBotFromMe" boolean DEFAULT false,
    "keepOpen" boolean DEFAULT false, "debounceTime" integer, "ignoreJids" jsonb,
    "splitMessages" boolean DEFAULT false, "timePerChar" integer DEFAULT 50,
    "triggerType" "TriggerType", "triggerOperator" "TriggerOperator", "triggerValue" text,
    "createdAt" timestamp(6) DEFAULT CURRENT_TIMESTAMP, "updatedAt" timestamp(6) NOT NULL,
    "instanceId" text NOT NULL
);

CREATE TABLE "Flowise" (
    "id" text PRIMARY KEY, "enabled" boolean NOT NULL DEFAULT true, "description" varchar(255),
    "apiUrl" varchar(255), "apiKey" varchar(255), "expire" integer DEFAULT 0,
    "keywordFinish" varchar(100), "delayMessage" integer, "unknownMessage" varchar(100),
    "listeningFromMe" boolean DEFAULT false, "stopBotFromMe" boolean DEFAULT false,
    "keepOpen" boolean DEFAULT false, "debounceTime" integer, "ignoreJids" jsonb,
    "splitMessages" boolean DEFAULT false, "timePerChar" integer DEFAULT 50,
    "triggerType" "TriggerType", "triggerOperator" "TriggerOperator", "triggerValue" text,
    "createdAt" timestamp(6) DEFAULT CURRENT_TIMESTAMP, "updatedAt" timestamp(6) NOT NULL,
    "instanceId" text NOT NULL
);

CREATE TABLE "N8n" (
    "id" text PRIMARY KEY, "enabled" boolean NOT NULL DEFAULT true, "description" varchar(255),
    "webhookUrl" varchar(255), "basicAuthUser" varchar(255), "basicAuthPass" varchar(255),
    "expire" integer DEFAULT 0, "keywordFinish" varchar(100), "delayMessage" integer,
    "unknownMessage" varchar(100), "listeningFromMe" boolean DEFAULT false,
    "stopBotFromMe" boolean DEFAULT false, "keepOpen" boolean DEFAULT false, "debounceTime" integer,
    "ignoreJids" jsonb, "splitMessages" boolean DEFAULT false, "timePerChar" integer DEFAULT 50,
    "triggerType" "TriggerType", "triggerOperator" "TriggerOperator", "triggerValue" text,
    "createdAt" timestamp(6) DEFAULT CURRENT_TIMESTAMP, "updatedAt" timestamp(6) NOT NULL,
    "instanceId" text NOT NULL
);

CREATE TABLE "Evoai" (
    "id" text PRIMARY KEY, "enabled" boolean NOT NULL DEFAULT true, "description" varchar(255),
    "agentUrl" varchar(255), "apiKey" varchar(255), "expire" integer DEFAULT 0,
    "keywordFinish" varchar(100), "delayMessage" integer, "unknownMessage" varchar(100),
    "listeningFromMe" boolean DEFAULT false, "stopBotFromMe" boolean DEFAULT false,
    "keepOpen" boolean DEFAULT false, "debounceTime" integer, "ignoreJids" jsonb,
    "splitMessages" boolean DEFAULT false, "timePerChar" integer DEFAULT 50,
    "triggerType" "TriggerType", "triggerOperator" "TriggerOperator", "triggerValue" text,
    "createdAt" timestamp(6) DEFAULT CURRENT_TIMESTAMP, "updatedAt" timestamp(6) NOT NULL,
    "instanceId" text NOT NULL
);

CREATE TABLE "OpenaiCreds" (
    "id" text PRIMARY KEY, "name" varchar(255), "apiKey" varchar(255),
    "createdAt" timestamp(6) DEFAULT CURRENT_TIMESTAMP, "updatedAt" timestamp(6) NOT NULL,
    "instanceId" text NOT NULL
);

CREATE TABLE "OpenaiBot" (
    "id" text PRIMARY KEY, "enabled" boolean NOT NULL DEFAULT true, "description" varchar(255),
    "botType" "OpenaiBotType" NOT NULL, "assistantId" varchar(255), "functionUrl" varchar(500),
    "model" varchar(100), "systemMessages" jsonb, "assistantMessages" jsonb, "userMessages" jsonb,
    "maxTokens" integer, "openaiCredsId" text NOT NULL, "expire" integer DEFAULT 0,
    "keywordFinish" varchar(100), "delayMessage" integer, "unknownMessage" varchar(100),
    "listeningFromMe" boolean DEFAULT false, "stopBotFromMe" boolean DEFAULT false,
    "keepOpen" boolean DEFAULT false, "debounceTime" integer, "ignoreJids" jsonb,
    "splitMessages" boolean DEFAULT false, "timePerChar" integer DEFAULT 50,
    "triggerType" "TriggerType", "triggerOperator" "TriggerOperator", "triggerValue" text,
    "createdAt" timestamp(6) DEFAULT CURRENT_TIMESTAMP, "updatedAt" timestamp(6) NOT NULL,
    "instanceId" text NOT NULL
);

CREATE TABLE "TypebotSetting" (
    "id" text PRIMARY KEY, "expire" integer DEFAULT 0, "keywordFinish" varchar(100),
    "delayMessage" integer, "unknownMessage" varchar(100), "listeningFromMe" boolean DEFAULT false,
    "stopBotFromMe" boolean DEFAULT false, "keepOpen" boolean DEFAULT false, "debounceTime" integer,
    "ignoreJids" jsonb, "splitMessages" boolean DEFAULT false, "timePerChar" integer DEFAULT 50,
    "typebotIdFallback" varchar(100), "createdAt" timestamp(6) DEFAULT CURRENT_TIMESTAMP,
    "updatedAt" timestamp(6) NOT NULL, "instanceId" text NOT NULL
);

CREATE TABLE "DifySetting" (
    "id" text PRIMARY KEY, "expire" integer DEFAULT 0, "keywordFinish" varchar(100),
    "delayMessage" integer, "unknownMessage" varchar(100), "listeningFromMe" boolean DEFAULT false,
    "stopBotFromMe" boolean DEFAULT false, "keepOpen" boolean DEFAULT false, "debounceTime" integer,
    "ignoreJids" jsonb, "splitMessages" boolean DEFAULT false, "timePerChar" integer DEFAULT 50,
    "difyIdFallback" varchar(100), "createdAt" timestamp(6) DEFAULT CURRENT_TIMESTAMP,
    "updatedAt" timestamp(6) NOT NULL, "instanceId" text NOT NULL
);

CREATE TABLE "EvolutionBotSetting" (
    "id" text PRIMARY KEY, "expire" integer DEFAULT 0, "keywordFinish" varchar(100),
    "delayMessage" integer, "unknownMessage" varchar(100), "listeningFromMe" boolean DEFAULT false,
    "stopBotFromMe" boolean DEFAULT false, "keepOpen" boolean DEFAULT false, "debounceTime" integer,
    "ignoreJids" jsonb, "splitMessages" boolean DEFAULT false, "timePerChar" integer DEFAULT 50,
    "botIdFallback" varchar(100), "createdAt" timestamp(6) DEFAULT CURRENT_TIMESTAMP,
    "updatedAt" timestamp(6) NOT NULL, "instanceId" text NOT NULL
);

CREATE TABLE "FlowiseSetting" (
    "id" text PRIMARY KEY, "expire" integer DEFAULT 0, "keywordFinish" varchar(100),
    "delayMessage" integer, "unknownMessage" varchar(100), "listeningFromMe" boolean DEFAULT false,
    "stopBotFromMe" boolean DEFAULT false, "keepOpen" boolean DEFAULT false, "debounceTime" integer,
    "ignoreJids" jsonb, "splitMessages" boolean DEFAULT false, "timePerChar" integer DEFAULT 50,
    "flowiseIdFallback" varchar(100), "createdAt" timestamp(6) DEFAULT CURRENT_TIMESTAMP,
    "updatedAt" timestamp(6) NOT NULL, "instanceId" text NOT NULL
);

CREATE TABLE "N8nSetting" (
    "id" text PRIMARY KEY, "expire" integer DEFAULT 0, "keywordFinish" varchar(100),
    "delayMessage" integer, "unknownMessage" varchar(100), "listeningFromMe" boolean DEFAULT false,
    "stopBotFromMe" boolean DEFAULT false, "keepOpen" boolean DEFAULT false, "debounceTime" integer,
    "ignoreJids" jsonb, "splitMessages" boolean DEFAULT false, "timePerChar" integer DEFAULT 50,
    "n8nIdFallback" varchar(100), "createdAt" timestamp(6) DEFAULT CURRENT_TIMESTAMP,
    "updatedAt" timestamp(6) NOT NULL, "instanceId" text NOT NULL
);

CREATE TABLE "EvoaiSetting" (
    "id" text PRIMARY KEY, "expire" integer DEFAULT 0, "keywordFinish" varchar(100),
    "delayMessage" integer, "unknownMessage" varchar(100), "listeningFromMe" boolean DEFAULT false,
    "stopBotFromMe" boolean DEFAULT false, "keepOpen" boolean DEFAULT false, "debounceTime" integer,
    "ignoreJids" jsonb, "splitMessages" boolean DEFAULT false, "timePerChar" integer DEFAULT 50,
    "evoaiIdFallback" varchar(100), "createdAt" timestamp(6) DEFAULT CURRENT_TIMESTAMP,
    "updatedAt" timestamp(6) NOT NULL, "instanceId" text NOT NULL
);

CREATE TABLE "OpenaiSetting" (
    "id" text PRIMARY KEY, "expire" integer DEFAULT 0, "keywordFinish" varchar(100),
    "delayMessage" integer, "unknownMessage" varchar(100), "listeningFromMe" boolean DEFAULT false,
    "stopBotFromMe" boolean DEFAULT false, "keepOpen" boolean DEFAULT false, "debounceTime" integer,
    "ignoreJids" jsonb, "splitMessages" boolean DEFAULT false, "timePerChar" integer DEFAULT 50,
    "speechToText" boolean DEFAULT true, "openaiCredsId" text NOT NULL, "openaiIdFallback" varchar(100),
    "createdAt" timestamp(6) DEFAULT CURRENT_TIMESTAMP, "updatedAt" timestamp(6) NOT NULL,
    "instanceId" text NOT NULL
);

CREATE TABLE "IsOnWhatsapp" (
    "id" text PRIMARY KEY, "remoteJid" varchar(100) NOT NULL, "jidOptions" text NOT NULL,
    "lid" varchar(100), "createdAt" timestamp(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "updatedAt" timestamp(6) NOT NULL
);

CREATE TABLE "_prisma_migrations" (
    "id" varchar(36) PRIMARY KEY, "checksum" varchar(64) NOT NULL, "finished_at" timestamptz,
    "migration_name" varchar(255) NOT NULL, "logs" text, "rolled_back_at" timestamptz,
    "started_at" timestamptz NOT NULL DEFAULT now(), "applied_steps_count" integer NOT NULL DEFAULT 0
);

CREATE UNIQUE INDEX "Instance_name_key" ON "Instance" ("name");
CREATE UNIQUE INDEX "Session_sessionId_key" ON "Session" ("sessionId");
CREATE UNIQUE INDEX "Chat_instanceId_remoteJid_key" ON "Chat" ("instanceId", "remoteJid");
CREATE UNIQUE INDEX "Contact_remoteJid_instanceId_key" ON "Contact" ("remoteJid", "instanceId");
CREATE UNIQUE INDEX "Media_fileName_key" ON "Media" ("fileName");
CREATE UNIQUE INDEX "Media_messageId_key" ON "Media" ("messageId");
CREATE UNIQUE INDEX "Label_labelId_instanceId_key" ON "Label" ("labelId", "instanceId");
CREATE UNIQUE INDEX "Template_templateId_key" ON "Template" ("templateId");
CREATE UNIQUE INDEX "Template_name_key" ON "Template" ("name");
CREATE UNIQUE INDEX "OpenaiCreds_name_key" ON "OpenaiCreds" ("name");
CREATE UNIQUE INDEX "OpenaiCreds_apiKey_key" ON "OpenaiCreds" ("apiKey");
CREATE UNIQUE INDEX "OpenaiSetting_openaiCredsId_key" ON "OpenaiSetting" ("openaiCredsId");
CREATE UNIQUE INDEX "IsOnWhatsapp_remoteJid_key" ON "IsOnWhatsapp" ("remoteJid");
CREATE UNIQUE INDEX "Webhook_instanceId_key" ON "Webhook" ("instanceId");
CREATE UNIQUE INDEX "Chatwoot_instanceId_key" ON "Chatwoot" ("instanceId");
CREATE UNIQUE INDEX "Proxy_instanceId_key" ON "Proxy" ("instanceId");
CREATE UNIQUE INDEX "Setting_instanceId_key" ON "Setting" ("instanceId");
CREATE UNIQUE INDEX "Rabbitmq_instanceId_key" ON "Rabbitmq" ("instanceId");
CREATE UNIQUE INDEX "Nats_instanceId_key" ON "Nats" ("instanceId");
CREATE UNIQUE INDEX "Sqs_instanceId_key" ON "Sqs" ("instanceId");
CREATE UNIQUE INDEX "Kafka_instanceId_key" ON "Kafka" ("instanceId");
CREATE UNIQUE INDEX "Websocket_instanceId_key" ON "Websocket" ("instanceId");
CREATE UNIQUE INDEX "Pusher_instanceId_key" ON "Pusher" ("instanceId");
CREATE UNIQUE INDEX "TypebotSetting_instanceId_key" ON "TypebotSetting" ("instanceId");
CREATE UNIQUE INDEX "DifySetting_instanceId_key" ON "DifySetting" ("instanceId");
CREATE UNIQUE INDEX "EvolutionBotSetting_instanceId_key" ON "EvolutionBotSetting" ("instanceId");
CREATE UNIQUE INDEX "FlowiseSetting_instanceId_key" ON "FlowiseSetting" ("instanceId");
CREATE UNIQUE INDEX "N8nSetting_instanceId_key" ON "N8nSetting" ("instanceId");
CREATE UNIQUE INDEX "EvoaiSetting_instanceId_key" ON "EvoaiSetting" ("instanceId");
CREATE UNIQUE INDEX "OpenaiSetting_instanceId_key" ON "OpenaiSetting" ("instanceId");

CREATE INDEX "Chat_instanceId_idx" ON "Chat" ("instanceId");
CREATE INDEX "Contact_instanceId_idx" ON "Contact" ("instanceId");
CREATE INDEX "Message_instanceId_idx" ON "Message" ("instanceId");
CREATE INDEX "MessageUpdate_instanceId_idx" ON "MessageUpdate" ("instanceId");
CREATE INDEX "MessageUpdate_messageId_idx" ON "MessageUpdate" ("messageId");
CREATE INDEX "Webhook_instanceId_idx" ON "Webhook" ("instanceId");
CREATE INDEX "Setting_instanceId_idx" ON "Setting" ("instanceId");

-- No index beyond these: "Message"."sessionId" and others without one are what makes deleting slow.
ALTER TABLE "Session" ADD CONSTRAINT "Session_sessionId_fkey" FOREIGN KEY ("sessionId")
    REFERENCES "Instance" ("id") ON DELETE CASCADE ON UPDATE CASCADE;
ALTER TABLE "Chat" ADD CONSTRAINT "Chat_instanceId_fkey" FOREIGN KEY ("instanceId")
    REFERENCES "Instance" ("id") ON DELETE CASCADE ON UPDATE CASCADE;
ALTER TABLE "Contact" ADD CONSTRAINT "Contact_instanceId_fkey" FOREIGN KEY ("instanceId")
    REFERENCES "Instance" ("id") ON DELETE CASCADE ON UPDATE CASCADE;
ALTER TABLE "IntegrationSession" ADD CONSTRAINT "IntegrationSession_instanceId_fkey" FOREIGN KEY ("instanceId")
    REFERENCES "Instance" ("id") ON DELETE CASCADE ON UPDATE CASCADE;
ALTER TABLE "Message" ADD CONSTRAINT "Message_instanceId_fkey" FOREIGN KEY ("instanceId")
    REFERENCES "Instance" ("id") ON DELETE CASCADE ON UPDATE CASCADE;
ALTER TABLE "MessageUpdate" ADD CONSTRAINT "MessageUpdate_instanceId_fkey" FOREIGN KEY ("instanceId")
    REFERENCES "Instance" ("id") ON DELETE CASCADE ON UPDATE CASCADE;
ALTER TABLE "Media" ADD CONSTRAINT "Media_instanceId_fkey" FOREIGN KEY ("instanceId")
    REFERENCES "Instance" ("id") ON DELETE CASCADE ON UPDATE CASCADE;
ALTER TABLE "Webhook" ADD CONSTRAINT "Webhook_instanceId_fkey" FOREIGN KEY ("instanceId")
    REFERENCES "Instance" ("id") ON DELETE CASCADE ON UPDATE CASCADE;
ALTER TABLE "Chatwoot" ADD CONSTRAINT "Chatwoot_instanceId_fkey" FOREIGN KEY ("instanceId")
    REFERENCES "Instance" ("id") ON DELETE CASCADE ON UPDATE CASCADE;
ALTER TABLE "Label" ADD CONSTRAINT "Label_instanceId_fkey" FOREIGN KEY ("instanceId")
    REFERENCES "Instance" ("id") ON DELETE CASCADE ON UPDATE CASCADE;
ALTER TABLE "Proxy" ADD CONSTRAINT "Proxy_instanceId_fkey" FOREIGN KEY ("instanceId")
    REFERENCES "Instance" ("id") ON DELETE CASCADE ON UPDATE CASCADE;
ALTER TABLE "Setting" ADD CONSTRAINT "Setting_instanceId_fkey" FOREIGN KEY ("instanceId")
    REFERENCES "Instance" ("id") ON DELETE CASCADE ON UPDATE CASCADE;
ALTER TABLE "Rabbitmq" ADD CONSTRAINT "Rabbitmq_instanceId_fkey" FOREIGN KEY ("instanceId")
    REFERENCES "Instance" ("id") ON DELETE CASCADE ON UPDATE CASCADE;
ALTER TABLE "Nats" ADD CONSTRAINT "Nats_instanceId_fkey" FOREIGN KEY ("instanceId")
    REFERENCES "Instance" ("id") ON DELETE CASCADE ON UPDATE CASCADE;
ALTER TABLE "Sqs" ADD CONSTRAINT "Sqs_instanceId_fkey" FOREIGN KEY ("instanceId")
    REFERENCES "Instance" ("id") ON DELETE CASCADE ON UPDATE CASCADE;
ALTER TABLE "Kafka" ADD CONSTRAINT "Kafka_instanceId_fkey" FOREIGN KEY ("instanceId")
    REFERENCES "Instance" ("id") ON DELETE CASCADE ON UPDATE CASCADE;
ALTER TABLE "Websocket" ADD CONSTRAINT "Websocket_instanceId_fkey" FOREIGN KEY ("instanceId")
    REFERENCES "Instance" ("id") ON DELETE CASCADE ON UPDATE CASCADE;
ALTER TABLE "Pusher" ADD CONSTRAINT "Pusher_instanceId_fkey" FOREIGN KEY ("instanceId")
    REFERENCES "Instance" ("id") ON DELETE CASCADE ON UPDATE CASCADE;
ALTER TABLE "Template" ADD CONSTRAINT "Template_instanceId_fkey" FOREIGN KEY ("instanceId")
    REFERENCES "Instance" ("id") ON DELETE CASCADE ON UPDATE CASCADE;
ALTER TABLE "Typebot" ADD CONSTRAINT "Typebot_instanceId_fkey" FOREIGN KEY ("instanceId")
    REFERENCES "Instance" ("id") ON DELETE CASCADE ON UPDATE CASCADE;
ALTER TABLE "Dify" ADD CONSTRAINT "Dify_instanceId_fkey" FOREIGN KEY ("instanceId")
    REFERENCES "Instance" ("id") ON DELETE CASCADE ON UPDATE CASCADE;
ALTER TABLE "EvolutionBot" ADD CONSTRAINT "EvolutionBot_instanceId_fkey" FOREIGN KEY ("instanceId")
    REFERENCES "Instance" ("id") ON DELETE CASCADE ON UPDATE CASCADE;
ALTER TABLE "Flowise" ADD CONSTRAINT "Flowise_instanceId_fkey" FOREIGN KEY ("instanceId")
    REFERENCES "Instance" ("id") ON DELETE CASCADE ON UPDATE CASCADE;
ALTER TABLE "N8n" ADD CONSTRAINT "N8n_instanceId_fkey" FOREIGN KEY ("instanceId")
    REFERENCES "Instance" ("id") ON DELETE CASCADE ON UPDATE CASCADE;
ALTER TABLE "Evoai" ADD CONSTRAINT "Evoai_instanceId_fkey" FOREIGN KEY ("instanceId")
    REFERENCES "Instance" ("id") ON DELETE CASCADE ON UPDATE CASCADE;
ALTER TABLE "OpenaiCreds" ADD CONSTRAINT "OpenaiCreds_instanceId_fkey" FOREIGN KEY ("instanceId")
    REFERENCES "Instance" ("id") ON DELETE CASCADE ON UPDATE CASCADE;
ALTER TABLE "OpenaiBot" ADD CONSTRAINT "OpenaiBot_instanceId_fkey" FOREIGN KEY ("instanceId")
    REFERENCES "Instance" ("id") ON DELETE CASCADE ON UPDATE CASCADE;
ALTER TABLE "TypebotSetting" ADD CONSTRAINT "TypebotSetting_instanceId_fkey" FOREIGN KEY ("instanceId")
    REFERENCES "Instance" ("id") ON DELETE CASCADE ON UPDATE CASCADE;
ALTER TABLE "DifySetting" ADD CONSTRAINT "DifySetting_instanceId_fkey" FOREIGN KEY ("instanceId")
    REFERENCES "Instance" ("id") ON DELETE CASCADE ON UPDATE CASCADE;
ALTER TABLE "EvolutionBotSetting" ADD CONSTRAINT "EvolutionBotSetting_instanceId_fkey" FOREIGN KEY ("instanceId")
    REFERENCES "Instance" ("id") ON DELETE CASCADE ON UPDATE CASCADE;
ALTER TABLE "FlowiseSetting" ADD CONSTRAINT "FlowiseSetting_instanceId_fkey" FOREIGN KEY ("instanceId")
    REFERENCES "Instance" ("id") ON DELETE CASCADE ON UPDATE CASCADE;
ALTER TABLE "N8nSetting" ADD CONSTRAINT "N8nSetting_instanceId_fkey" FOREIGN KEY ("instanceId")
    REFERENCES "Instance" ("id") ON DELETE CASCADE ON UPDATE CASCADE;
ALTER TABLE "EvoaiSetting" ADD CONSTRAINT "EvoaiSetting_instanceId_fkey" FOREIGN KEY ("instanceId")
    REFERENCES "Instance" ("id") ON DELETE CASCADE ON UPDATE CASCADE;
ALTER TABLE "OpenaiSetting" ADD CONSTRAINT "OpenaiSetting_instanceId_fkey" FOREIGN KEY ("instanceId")
    REFERENCES "Instance" ("id") ON DELETE CASCADE ON UPDATE CASCADE;
ALTER TABLE "Message" ADD CONSTRAINT "Message_sessionId_fkey" FOREIGN KEY ("sessionId")
    REFERENCES "IntegrationSession" ("id") ON DELETE SET NULL ON UPDATE CASCADE;
ALTER TABLE "MessageUpdate" ADD CONSTRAINT "MessageUpdate_messageId_fkey" FOREIGN KEY ("messageId")
    REFERENCES "Message" ("id") ON DELETE CASCADE ON UPDATE CASCADE;
ALTER TABLE "Media" ADD CONSTRAINT "Media_messageId_fkey" FOREIGN KEY ("messageId")
    REFERENCES "Message" ("id") ON DELETE CASCADE ON UPDATE CASCADE;
ALTER TABLE "OpenaiBot" ADD CONSTRAINT "OpenaiBot_openaiCredsId_fkey" FOREIGN KEY ("openaiCredsId")
    REFERENCES "OpenaiCreds" ("id") ON DELETE CASCADE ON UPDATE CASCADE;
ALTER TABLE "OpenaiSetting" ADD CONSTRAINT "OpenaiSetting_openaiCredsId_fkey" FOREIGN KEY ("openaiCredsId")
    REFERENCES "OpenaiCreds" ("id") ON DELETE RESTRICT ON UPDATE CASCADE;
ALTER TABLE "OpenaiSetting" ADD CONSTRAINT "OpenaiSetting_openaiIdFallback_fkey" FOREIGN KEY ("openaiIdFallback")
    REFERENCES "OpenaiBot" ("id") ON DELETE SET NULL ON UPDATE CASCADE;
ALTER TABLE "TypebotSetting" ADD CONSTRAINT "TypebotSetting_typebotIdFallback_fkey" FOREIGN KEY ("typebotIdFallback")
    REFERENCES "Typebot" ("id") ON DELETE SET NULL ON UPDATE CASCADE;
ALTER TABLE "DifySetting" ADD CONSTRAINT "DifySetting_difyIdFallback_fkey" FOREIGN KEY ("difyIdFallback")
    REFERENCES "Dify" ("id") ON DELETE SET NULL ON UPDATE CASCADE;
ALTER TABLE "EvolutionBotSetting" ADD CONSTRAINT "EvolutionBotSetting_botIdFallback_fkey" FOREIGN KEY ("botIdFallback")
    REFERENCES "EvolutionBot" ("id") ON DELETE SET NULL ON UPDATE CASCADE;
ALTER TABLE "FlowiseSetting" ADD CONSTRAINT "FlowiseSetting_flowiseIdFallback_fkey" FOREIGN KEY ("flowiseIdFallback")
    REFERENCES "Flowise" ("id") ON DELETE SET NULL ON UPDATE CASCADE;
ALTER TABLE "N8nSetting" ADD CONSTRAINT "N8nSetting_n8nIdFallback_fkey" FOREIGN KEY ("n8nIdFallback")
    REFERENCES "N8n" ("id") ON DELETE SET NULL ON UPDATE CASCADE;
ALTER TABLE "EvoaiSetting" ADD CONSTRAINT "EvoaiSetting_evoaiIdFallback_fkey" FOREIGN KEY ("evoaiIdFallback")
    REFERENCES "Evoai" ("id") ON DELETE SET NULL ON UPDATE CASCADE;
