from demo.evolution.census import census
from demo.evolution.seed import seed_instance


def test_smoke(shared_system):
    s = shared_system
    i = seed_instance(s.deployment, "demo", webhook_url=s.receiver.url)
    n = seed_instance(s.deployment, "neighbour")
    for g in s.gateways:
        g.load()
    print(census(s.deployment, i.id, i.name))
    r = s.delete("demo")
    print(r.status_code, r.text, dict(r.headers))
    print(census(s.deployment, i.id, i.name))
    print((s.folder / "worker.log").read_text()[-3000:])
    print(s.receiver.received)
    r2 = s.delete("demo")
    print(r2.status_code, r2.text)
    from sqlalchemy import text

    with s.make_services().own.connect() as c:
        print(
            c.execute(
                text(
                    "select name,status,planned,removed,notes,error,finished_at-started_at from steps order by position"
                )
            ).all()
        )
    assert r.text == '{"status":"SUCCESS","error":false,"response":{"message":"Instance deleted"}}'
