// The workflows of docs/n8n that verify our signature, walked node by node in a JavaScript engine with what a worker
// sends. No n8n runs here: the engine is Node.js, and what n8n's own nodes do is imitated from their source.

import Foundation
import Outbox
import OutboxWorker
import TestSupport
import Testing

@Suite struct N8nWorkflowTests {
    private static let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent()
    private static let files = ["verify-code.json", "verify-crypto.json"]
    private static let secret = "It's a Secret to Everybody"
    private static let hasNode = (try? Program(["node", "--version"]).readLine().hasPrefix("v")) == true

    /// A request of profile n8n, as a worker makes it.
    private func request(secret: String, at unixSeconds: Int64, data: String) throws -> (headers: [String: String], body: [UInt8]) {
        let profile = try #require(Profile.builtIn["n8n"])
        let destination = try Destination(
            id: 1, uuid: "018f6b1e-0000-7000-8000-00000000e001", kind: .n8n, name: "n8n", url: DestinationURL("https://n8n.example.com/webhook/x"),
            patterns: [EventPattern("*")], profile: profile, secrets: [Secret(secret, form: profile.secretForm)])
        let event = Event(
            id: EventID(high: 0x018F_6B1E_2A3C_7D4E, low: 0x8F50_6172_8394_A5B6), type: "user.created",
            createdAtMicroseconds: unixSeconds * 1_000_000, data: Array(data.utf8))
        var builder = RequestBuilder()
        let prepared = try builder.request(
            event: event, destination: destination, deliveryID: "d", attempt: 1, unixSeconds: unixSeconds)
        let pairs = prepared.headers.map { line in
            let colon = line.firstIndex(of: ":") ?? line.endIndex
            return (line[..<colon].lowercased(), String(line[colon...].dropFirst(2)))
        }
        return (Dictionary(uniqueKeysWithValues: pairs), prepared.body)
    }

    /// Walks the workflow; gives the status that it answers with.
    private func answer(_ file: String, headers: [String: String], body: [UInt8], secret: String = Self.secret) throws -> String {
        let input = FileManager.default.temporaryDirectory.appendingPathComponent("n8n-\(UUID()).json")
        let document: [String: Any] = [
            "workflow": Self.root.path + "/docs/n8n/\(file)", "headers": headers, "body": Data(body).base64EncodedString(),
            "secret": secret,
        ]
        try JSONSerialization.data(withJSONObject: document).write(to: input)
        defer { try? FileManager.default.removeItem(at: input) }
        return try Program(["node", "-e", Self.walker, input.path]).readLine()
    }

    @Test(.enabled(if: hasNode, "Node.js is not installed"), arguments: files)
    func genuineRequestsAreAcceptedAndOthersRefused(file: String) throws {
        let now = Int64(Date().timeIntervalSince1970)
        for data in [#"{"id": 1}"#, #"{"name": "João – 日本 \u0041", "n": 1.50, "deep": [[], {}]}"#] {
            let (headers, body) = try request(secret: Self.secret, at: now, data: data)
            #expect(try answer(file, headers: headers, body: body) == "Accept")
            #expect(try answer(file, headers: headers, body: body + [0x20]) == "Refuse")
            #expect(try answer(file, headers: headers, body: body, secret: "another") == "Refuse")
            for change in [
                ["x-webhook-timestamp": "\(now + 1)"], ["x-webhook-signature": "sha256=00"], ["x-webhook-signature": ""],
                ["x-webhook-signature": headers["x-webhook-signature"]?.replacing("sha256=", with: "") ?? ""],
            ] {
                #expect(try answer(file, headers: headers.merging(change) { $1 }, body: body) == "Refuse", "\(change)")
            }
        }
        for (distance, expected) in [(-200, "Accept"), (200, "Accept"), (-400, "Refuse"), (400, "Refuse")] as [(Int64, String)] {
            // By the clock of now: each walk before this one was a start of Node.js.
            let time = Int64(Date().timeIntervalSince1970) + distance
            let (headers, body) = try request(secret: Self.secret, at: time, data: "{}")
            #expect(try answer(file, headers: headers, body: body) == expected)
        }
        var (headers, body) = try request(secret: Self.secret, at: now, data: "{}")
        headers["x-webhook-timestamp"] = nil
        headers["x-webhook-signature"] = nil
        #expect(try answer(file, headers: headers, body: body) == "Refuse")
    }

    /// Whoever knows that none is set could sign with nothing.
    @Test(.enabled(if: hasNode, "Node.js is not installed"))
    func withoutASecretNothingIsAccepted() throws {
        let (headers, body) = try request(secret: "x", at: Int64(Date().timeIntervalSince1970), data: "{}")
        var forged = headers
        let script = "import hmac,sys;print(hmac.new(b'',sys.argv[1].encode(),'sha256').hexdigest())"
        let message = "\(headers["x-webhook-timestamp"] ?? "").\(String(decoding: body, as: UTF8.self))"
        forged["x-webhook-signature"] = "sha256=" + (try Program(["python3", "-c", script, message]).readLine())
        #expect(try answer("verify-code.json", headers: forged, body: body, secret: "") == "error")
        #expect(try answer("verify-crypto.json", headers: forged, body: body, secret: "") == "Refuse")
    }

    @Test(.enabled(if: hasNode, "Node.js is not installed"))
    func bothSecretsOfARotationAreAccepted() throws {
        let now = Int64(Date().timeIntervalSince1970)
        for secret in ["old", "new"] {
            let (headers, body) = try request(secret: secret, at: now, data: "{}")
            #expect(try answer("verify-code.json", headers: headers, body: body, secret: "old,new") == "Accept")
            #expect(try answer("verify-code.json", headers: headers, body: body, secret: ",") == "error")
        }
    }

    @Test(arguments: files) func workflowsAreComplete(file: String) throws {
        let data = try Data(contentsOf: Self.root.appendingPathComponent("docs/n8n/\(file)"))
        let workflow = try #require(try JSONSerialization.jsonObject(with: data) as? [String: Any])
        let nodes = try #require(workflow["nodes"] as? [[String: Any]])
        let names = nodes.compactMap { $0["name"] as? String }
        #expect(Set(names).count == nodes.count && Set(nodes.compactMap { $0["id"] as? String }).count == nodes.count)
        let connections = try #require(workflow["connections"] as? [String: [String: [[[String: Any]]]]])
        for (source, outputs) in connections {
            #expect(names.contains(source))
            for target in outputs.values.joined().joined() { #expect(names.contains(target["node"] as? String ?? "")) }
        }
        let hook = try #require(nodes.first { $0["type"] as? String == "n8n-nodes-base.webhook" }?["parameters"] as? [String: Any])
        #expect(hook["httpMethod"] as? String == "POST" && hook["responseMode"] as? String == "responseNode")
        #expect((hook["options"] as? [String: Any])?["rawBody"] as? Bool == true)
    }

    /// Prints the name of the node that answers; `error` when a node throws.
    private static let walker = #"""
        const fs = require('fs'), crypto = require('crypto');
        const input = JSON.parse(fs.readFileSync(process.argv[1], 'utf8'));
        const workflow = JSON.parse(fs.readFileSync(input.workflow, 'utf8'));
        const node = (name) => workflow.nodes.find((n) => n.name === name);
        const $env = { POSTRIDER_WEBHOOK_SECRET: input.secret };
        const done = {};
        const evaluate = (text, item) => {
          if (typeof text !== 'string' || !text.startsWith('=')) return text;
          const expression = /^=\{\{(.*)\}\}$/s.exec(text)[1];
          const $ = (name) => ({ item: done[name] });
          return new Function('$json', '$', '$env', `return (${expression})`)(item.json, $, $env);
        };
        const run = {
          'n8n-nodes-base.code': async (p, item) => {
            const body = new (Object.getPrototypeOf(async () => {}).constructor)('$input', '$env', 'require', p.jsCode);
            const helpers = { getBinaryDataBuffer: async (index, name) => Buffer.from(item.binary[name].data, 'base64') };
            return (await body.call({ helpers }, { first: () => item }, $env, require))[0];
          },
          'n8n-nodes-base.extractFromFile': async (p, item) => {
            if (p.operation !== 'text') throw new Error(p.operation);
            return { json: { [p.destinationKey]: Buffer.from(item.binary[p.binaryPropertyName].data, 'base64').toString(p.options.encoding) } };
          },
          'n8n-nodes-base.crypto': async (p, item) => {
            if (p.action !== 'hmac') throw new Error(p.action);
            const value = crypto.createHmac(p.type, evaluate(p.secret, item)).update(evaluate(p.value, item)).digest(p.encoding);
            return { json: { ...item.json, [p.dataPropertyName]: value } };
          },
        };
        (async () => {
          let item = {
            json: { headers: input.headers, params: {}, query: {}, body: JSON.parse(Buffer.from(input.body, 'base64')) },
            binary: { data: { data: input.body, mimeType: 'application/json' } },
          };
          let name = 'Webhook';
          while (true) {
            done[name] = item;
            let output = 0;
            const { type, parameters } = node(name);
            if (type === 'n8n-nodes-base.respondToWebhook') return console.log(name);
            if (type === 'n8n-nodes-base.if') {
              const value = evaluate(parameters.conditions.conditions[0].leftValue, item);
              // The node is strict about types.
              if (typeof value !== 'boolean') throw new Error('no boolean');
              output = value ? 0 : 1;
            } else if (run[type]) item = done[name] = await run[type](parameters, item);
            name = workflow.connections[name].main[output][0].node;
          }
        })().catch(() => console.log('error'));
        """#
}
