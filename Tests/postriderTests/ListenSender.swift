// An independent sender in Python: it signs as the source systems' specifications say and shares no code with Postrider.

/// The script: arguments are a port and a secret; prints one JSON object for each request it sent.
let listenSenderScript = ##"""
    # Sends signed webhooks as each source system specifies it, written from the specifications alone.
    import base64, hashlib, hmac, http.client, json, sys, time

    def mac(key, message):
        return hmac.new(key, message, hashlib.sha256)

    def headers(profile, secret, body, now, kind="user.created", ident="0190a1b2-c3d4-7e5f-8a9b-0c1d2e3f4a5b"):
        key, ts = secret.encode(), str(now)
        stamped = ts.encode() + b"." + body
        if profile == "standard":
            text = secret.removeprefix("whsec_")
            raw = base64.b64decode(text + "=" * (-len(text) % 4))
            signed = f"{ident}.{ts}.".encode() + body
            return {"webhook-id": ident, "webhook-timestamp": ts,
                    "webhook-signature": "v1," + base64.b64encode(mac(raw, signed).digest()).decode()}
        if profile == "companion":
            return {"X-Webhook-Signature": mac(key, body).hexdigest(), "X-Webhook-Event": kind, "X-Webhook-Delivery": ident}
        if profile == "agentes":
            return {"X-Webhook-Signature": "sha256=" + mac(key, stamped).hexdigest(), "X-Webhook-Timestamp": ts,
                    "User-Agent": "AgentesDeConversao-Webhook/1.0"}
        if profile == "crm":
            canonical = json.dumps(json.loads(body), sort_keys=True).encode()
            return {"X-Webhook-ID": ident, "X-Delivery-ID": ident, "X-Event-Type": kind,
                    "X-Signature": mac(key, canonical).hexdigest()}
        if profile == "fenix":
            return {"X-Fenix-Signature": "sha256=" + mac(key, body).hexdigest()}
        if profile == "bird":
            return {"X-Bird-Signature": mac(key, body).hexdigest(), "X-Bird-Timestamp": ts,
                    "X-Bird-Signature-Version": "1.0", "X-Bird-Webhook-Version": "1.0"}
        if profile == "github":
            return {"X-GitHub-Event": kind, "X-GitHub-Delivery": ident,
                    "X-Hub-Signature-256": "sha256=" + mac(key, body).hexdigest()}
        if profile == "stripe":
            return {"Stripe-Signature": f"t={ts},v1={'0' * 64},v1={mac(key, stamped).hexdigest()},v0=ab"}
        if profile == "n8n":
            return {"X-Webhook-Id": ident, "X-Webhook-Event": kind, "X-Webhook-Timestamp": ts,
                    "X-Webhook-Signature": "sha256=" + mac(key, stamped).hexdigest()}

    def post(port, headers, body):
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        connection.request("POST", "/hook?x=1", body, {"Content-Type": "application/json", **headers})
        answer = connection.getresponse()
        return answer.status, answer.read(), dict(answer.getheaders())

    port, secret = int(sys.argv[1]), sys.argv[2]
    now = int(time.time())
    body = '{"event_id":"e1","event_type":"user.created","type":"user.created","z":1.50,"a":"é\\u0041"}'.encode()
    def tell(profile, what, answer):
        print(json.dumps({"profile": profile, "case": what, "status": answer[0], "body": answer[1].decode()}), flush=True)
    for profile in "standard companion agentes crm fenix bird github stripe n8n".split():
        good = headers(profile, secret, body, now)
        tell(profile, "good", post(port, good, body))
        tell(profile, "tampered", post(port, good, body.replace(b"1.50", b"1.51")))
        tell(profile, "stranger", post(port, headers(profile, "d3Jvbmc=", body, now), body))
        tell(profile, "old", post(port, headers(profile, secret, body, now - 600), body))
        tell(profile, "early", post(port, headers(profile, secret, body, now + 600), body))
        unsigned = {name: value for name, value in good.items() if "signature" not in name.lower() or "Version" in name}
        tell(profile, "unsigned", post(port, unsigned, body))
    """##
