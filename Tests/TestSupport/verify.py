# Receivers of every profile, written from their own documents and with nothing but Python's standard library.
# Started by PythonVerifier.swift: a JSON list of requests on standard input, one verdict for each on standard output.

import base64
import hashlib
import hmac
import json
import sys
import threading


def mac(key, message):
    return hmac.new(key, message, hashlib.sha256)


def need(headers, name):
    if name.lower() not in headers:
        raise ValueError("header missing: " + name)
    return headers[name.lower()]


def equal(expected, actual):
    if not hmac.compare_digest(expected.encode(), actual.encode()):
        raise ValueError("expected %r, received %r" % (expected, actual))


def near(text, now):
    if not text.isascii() or not text.isdigit():
        raise ValueError("timestamp is not a number: %r" % text)
    if abs(int(text) - now) > 300:
        raise ValueError("timestamp too far away: " + text)
    return text


def signed_as_standard(headers, body, secret, now, event):
    identifier = need(headers, "webhook-id")
    stamp = near(need(headers, "webhook-timestamp"), now)
    key = secret[len("whsec_"):] if secret.startswith("whsec_") else secret
    key = base64.b64decode(key + "=" * (-len(key) % 4))
    expected = base64.b64encode(mac(key, identifier.encode() + b"." + stamp.encode() + b"." + body).digest())
    for entry in need(headers, "webhook-signature").split(" "):
        version, _, signature = entry.partition(",")
        if version == "v1" and hmac.compare_digest(expected, signature.encode()):
            break
    else:
        raise ValueError("no entry matches: " + need(headers, "webhook-signature"))
    equal(event["id"], identifier)


def standard(headers, body, secret, now, event):
    signed_as_standard(headers, body, secret, now, event)
    return json.loads(body), ["type", "timestamp", "data"], {"type": event["type"]}


def companion(headers, body, secret, now, event):
    received = need(headers, "X-Webhook-Signature")
    expected = mac(secret.encode(), body).hexdigest()
    if len(received) != len(expected):
        raise ValueError("length of signature")
    equal(expected, received)
    return json.loads(body), ["id", "type", "timestamp", "data"], {"id": event["id"], "type": event["type"]}


def agentes(headers, body, secret, now, event):
    stamp = near(need(headers, "X-Webhook-Timestamp"), now)
    equal("sha256=" + mac(secret.encode(), stamp.encode() + b"." + body).hexdigest(), need(headers, "X-Webhook-Signature"))
    equal("AgentesDeConversao-Webhook/1.0", need(headers, "User-Agent"))
    return json.loads(body), ["event_id", "event_type", "timestamp", "data"], {"event_type": event["type"]}


def crm(headers, body, secret, now, event):
    payload = json.loads(body)
    canonical = json.dumps(payload, sort_keys=True).encode()
    equal(mac(secret.encode(), canonical).hexdigest(), need(headers, "X-Signature"))
    equal("Claude-MCP-Webhook/1.0", need(headers, "User-Agent"))
    equal(event["type"], need(headers, "X-Event-Type"))
    equal(event["destination"], need(headers, "X-Webhook-ID"))
    equal(event["delivery"], need(headers, "X-Delivery-ID"))
    return payload, ["event_type", "created_at", "data"], {"event_type": event["type"]}


def fenix(headers, body, secret, now, event):
    equal("sha256=" + mac(secret.encode(), body).hexdigest(), need(headers, "X-Fenix-Signature"))
    equal("Fenix-CRM-Webhooks/1.0", need(headers, "User-Agent"))
    return json.loads(body), ["id", "event", "created_at", "data"], {"id": event["id"], "event": event["type"]}


def bird(headers, body, secret, now, event):
    equal(mac(secret.encode(), body).hexdigest(), need(headers, "X-Bird-Signature"))
    near(need(headers, "X-Bird-Timestamp"), now)
    equal("1.0", need(headers, "X-Bird-Signature-Version"))
    equal("1.0", need(headers, "X-Bird-Webhook-Version"))
    wanted = {"event_id": "evt_" + event["id"], "event_type": event["type"]}
    return json.loads(body), ["event_id", "event_type", "timestamp", "data"], wanted


def github(headers, body, secret, now, event):
    equal("sha256=" + mac(secret.encode(), body).hexdigest(), need(headers, "X-Hub-Signature-256"))
    equal(event["type"], need(headers, "X-GitHub-Event"))
    need(headers, "X-GitHub-Delivery")
    if not need(headers, "User-Agent").startswith("GitHub-Hookshot/"):
        raise ValueError("User-Agent")
    return {"data": json.loads(body)}, ["data"], {}


def stripe(headers, body, secret, now, event):
    parts = [item.split("=", 1) for item in need(headers, "Stripe-Signature").split(",")]
    stamp = near(dict(parts)["t"], now)
    expected = mac(secret.encode(), stamp.encode() + b"." + body).hexdigest()
    if not any(key == "v1" and hmac.compare_digest(expected, value) for key, value in parts):
        raise ValueError("no v1 matches")
    payload = json.loads(body)
    if type(payload["created"]) is not int or payload["object"] != "event":
        raise ValueError("not an event object")
    return payload, ["id", "object", "type", "created", "data"], {"id": "evt_" + event["id"], "type": event["type"]}


def n8n(headers, body, secret, now, event):
    stamp = near(need(headers, "X-Webhook-Timestamp"), now)
    equal("sha256=" + mac(secret.encode(), stamp.encode() + b"." + body).hexdigest(), need(headers, "X-Webhook-Signature"))
    equal("application/json", need(headers, "Content-Type"))
    return json.loads(body), ["event_id", "event_type", "timestamp", "data"], {"event_type": event["type"]}


def bare(prefix):
    def receiver(headers, body, secret, now, event):
        signed_as_standard(headers, body, secret, now, event)
        if not need(headers, "User-Agent").startswith(prefix):
            raise ValueError("User-Agent")
        return {"data": json.loads(body)}, ["data"], {}
    return receiver


# Two of docs/profiles.md, which operators add as rows.


def slack(headers, body, secret, now, event):
    stamp = near(need(headers, "X-Slack-Request-Timestamp"), now)
    base = b"v0:" + stamp.encode() + b":" + body
    equal("v0=" + mac(secret.encode(), base).hexdigest(), need(headers, "X-Slack-Signature"))
    wanted = {"type": "event_callback", "event_id": "Ev" + event["id"]}
    return json.loads(body), ["type", "event_id", "event_time", "event"], wanted


def shopify(headers, body, secret, now, event):
    expected = base64.b64encode(mac(secret.encode(), body).digest()).decode()
    equal(expected, need(headers, "X-Shopify-Hmac-Sha256"))
    equal(event["type"], need(headers, "X-Shopify-Topic"))
    equal(event["id"], need(headers, "X-Shopify-Webhook-Id"))
    return {"data": json.loads(body)}, ["data"], {}


VERIFIERS = {
    f.__name__: f for f in (standard, companion, agentes, crm, fenix, bird, github, stripe, n8n, slack, shopify)
}
VERIFIERS |= {"supabase": bare("pg_net/"), "hasura": bare("hasura-graphql-engine/")}


def verify(case):
    try:
        headers = {}
        for line in case["headers"]:
            name, _, value = line.partition(": ")
            if name.lower() in headers:
                raise ValueError("header twice: " + name)
            headers[name.lower()] = value
        body = base64.b64decode(case["body"])
        verifier = VERIFIERS[case["profile"]]
        payload, keys, wanted = verifier(headers, body, case["secret"], case["now"], case["event"])
        if list(payload) != keys:
            raise ValueError("keys of the body: %r" % list(payload))
        for key, value in wanted.items():
            if payload[key] != value:
                raise ValueError("%s is %r" % (key, payload[key]))
        return "ok"
    except Exception as error:
        return "%s: %s" % (type(error).__name__, str(error)[:400])


def main():
    results = [verify(case) for case in json.loads(sys.stdin.buffer.read())]
    json.dump(results, sys.stdout)


# Deeply nested documents need a deep stack in Python's own parser.
sys.setrecursionlimit(1_000_000)
threading.stack_size(512 * 1024 * 1024)
thread = threading.Thread(target=main)
thread.start()
thread.join()
