# SPDX-License-Identifier: MIT
"""The listening process of one pod: serve.py NAME tcp:80 udp:8125 sctp:3868 ...

TCP speaks HTTP to those who do and otherwise answers a line; UDP answers; SCTP answers INIT.
Every answer carries NAME, so that a client knows whom it reached, and over HTTP and UDP is as long
as what was said, if that was longer. Prints "ready" when it listens.
"""
import re
import socket
import sys
import threading

import sctp


def answer(name, octets):
    """The name on a line, which has at least so many octets."""
    return name.encode().ljust(octets - 1) + b"\n"


def http_body(connection, asked):
    """Reads what else belongs to a request: the octets of its body."""
    while b"\r\n\r\n" not in asked and (more := connection.recv(4096)):
        asked += more
    head, _, body = asked.partition(b"\r\n\r\n")
    length = re.search(rb"\r\ncontent-length: *(\d+)", head, re.I)
    octets = int(length.group(1)) if length else 0
    left = octets - len(body)
    while left > 0 and (more := connection.recv(65536)):
        left -= len(more)
    return octets


def tcp_client(connection, name):
    with connection:
        connection.settimeout(5)
        try:
            asked = connection.recv(4096)
            if asked.startswith((b"GET ", b"POST ")):
                body = answer(name, http_body(connection, asked))
                connection.sendall(b"HTTP/1.0 200 OK\r\nContent-Type: text/plain\r\n"
                                   b"Content-Length: %d\r\n\r\n%s" % (len(body), body))
            elif asked:
                connection.sendall(name.encode() + b"\n")
        except OSError:
            pass  # The client went away.


def tcp(listener, name):
    while True:
        connection, _ = listener.accept()
        threading.Thread(target=tcp_client, args=(connection, name), daemon=True).start()


def udp(listener, name):
    while True:
        asked, ancillary, _, peer = listener.recvmsg(65536, 128)
        # Answer from the very address that was asked: a host may have several.
        listener.sendmsg([answer(name, len(asked))], ancillary, 0, peer)


def listen(kind, port):
    """One socket for both families: ::ffff:a.b.c.d is IPv4."""
    listener = socket.socket(socket.AF_INET6, kind)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
    listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVPKTINFO, 1)
    listener.bind(("::", port))
    if kind == socket.SOCK_STREAM:
        listener.listen(64)
    return listener


def main():
    name = sys.argv[1]
    threads = []
    for word in sys.argv[2:]:
        protocol, port = word.split(":")
        if protocol == "sctp":
            body, arguments = sctp.respond, (int(port),)
        elif protocol == "tcp":
            body, arguments = tcp, (listen(socket.SOCK_STREAM, int(port)), name)
        else:
            body, arguments = udp, (listen(socket.SOCK_DGRAM, int(port)), name)
        threads.append(threading.Thread(target=body, args=arguments, daemon=True))
    for thread in threads:
        thread.start()
    print("ready", flush=True)
    for thread in threads:
        thread.join()


if __name__ == "__main__":
    main()
