"""A receiver that speaks TLS. Arguments: an authority's file, traits joined by commas, and a file with certificate and key
for each port; prints the ports. An answer's body says `TLSv1.3 new` or `TLSv1.3 resumed`; with the trait `mutual` it is the
name in the client's certificate, without which there is no handshake. Ends with its standard input."""

import socket, ssl, sys, threading

authority, traits = sys.argv[1], sys.argv[2].split(",")


def context_of(file):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)
    if "mutual" in traits:
        context.load_verify_locations(authority)
        context.verify_mode = ssl.CERT_REQUIRED
    if "tls11" in traits:
        context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_1
        context.set_ciphers("ALL:@SECLEVEL=0")
    if "tls12" in traits:
        context.maximum_version = ssl.TLSVersion.TLSv1_2
    return context


def body_for(connection):
    if "mutual" in traits:
        return dict(entry[0] for entry in connection.getpeercert()["subject"])["commonName"]
    return f"{connection.version()} {'resumed' if connection.session_reused else 'new'}"


def serve(context, plain):
    try:
        with context.wrap_socket(plain, server_side=True) as connection:
            stream = connection.makefile("rb")
            while stream.readline():
                length = 0
                while (line := stream.readline().strip()):
                    name, _, value = line.partition(b":")
                    if name.lower() == b"content-length":
                        length = int(value)
                stream.read(length)
                body = body_for(connection).encode()
                end = b"Connection: close\r\n" if "close" in traits else b""
                connection.sendall(b"HTTP/1.1 200 OK\r\n%bContent-Length: %d\r\n\r\n%b" % (end, len(body), body))
                if end:
                    # A TLS 1.2 session whose connection ended without the closing alert is not resumed.
                    connection.unwrap()
                    return
    except OSError:
        pass


def listen(context, listener):
    while True:
        plain, _ = listener.accept()
        threading.Thread(target=serve, args=(context, plain), daemon=True).start()


ports = []
for file in sys.argv[3:]:
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen(512)
    ports.append(str(listener.getsockname()[1]))
    threading.Thread(target=listen, args=(context_of(file), listener), daemon=True).start()
print(" ".join(ports))
sys.stdin.read()
