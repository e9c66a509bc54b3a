#!/usr/bin/env python3
"""Both ends of a name server, for tests.

    dns.py query SERVER NAME [TYPE] [tcp]   asks, prints "RCODE ANSWER..." in order, ends with 1 if there is no answer
                                            (an address as NAME: asks for its name)
    dns.py upstream ADDRESS LOG             answers: NAME.example.com is 192.0.2.7, all else does not exist; writes "NAME TYPE" to LOG
    dns.py mirror ADDRESS TO LOG            sends every query on to TO, as a resolver does that asks back
    dns.py hold ADDRESS                     listens on port 53 and does nothing
"""
import ipaddress, signal, socket, struct, sys

TYPES = {'A': 1, 'PTR': 12, 'MX': 15, 'TXT': 16, 'AAAA': 28, 'HTTPS': 65}
CODES = ['NOERROR', 'FORMERR', 'SERVFAIL', 'NXDOMAIN', 'NOTIMP', 'REFUSED']


def family(address):
    return socket.AF_INET6 if ':' in address else socket.AF_INET


def name_at(packet, at):
    """The name there, and where it ends."""
    labels = []
    while packet[at]:
        if packet[at] >= 0xc0:
            rest, _ = name_at(packet, (packet[at] & 0x3f) << 8 | packet[at + 1])
            return '.'.join(labels + [rest]), at + 2
        labels.append(packet[at + 1:at + 1 + packet[at]].decode('latin1'))
        at += 1 + packet[at]
    return '.'.join(labels), at + 1


def ask(server, name, kind='A', transport='udp'):
    try:
        name, kind = ipaddress.ip_address(name).reverse_pointer, 'PTR'
    except ValueError:
        pass
    question = b''.join(bytes([len(x)]) + x.encode() for x in name.split('.')) + struct.pack('>xHH', TYPES[kind], 1)
    packet = struct.pack('>6H', 4711, 0x100, 1, 0, 0, 0) + question
    tcp = transport == 'tcp'
    with socket.socket(family(server), socket.SOCK_STREAM if tcp else socket.SOCK_DGRAM) as s:
        s.settimeout(2)
        s.connect((server, 53))
        s.sendall(struct.pack('>H', len(packet)) + packet if tcp else packet)
        answer = s.recv(4096)
        if tcp:
            answer = answer[2:] or answer and s.recv(4096)
    if len(answer) < 12:
        raise OSError('no answer')
    flags, _, count = struct.unpack('>3H', answer[2:8])
    at, found = name_at(answer, 12)[1] + 4, []
    for _ in range(count):
        at = name_at(answer, at)[1]
        kind, _, _, size = struct.unpack('>HHIH', answer[at:at + 10])
        at += 10
        data = answer[at:at + size]
        found.append(str(ipaddress.ip_address(data)) if kind in (1, 28) else name_at(answer, at)[0])
        at += size
    return ' '.join([CODES[flags & 15]] + sorted(found))


def serve(address, handle):
    with socket.socket(family(address), socket.SOCK_DGRAM) as s:
        s.bind((address, 53))
        while True:
            packet, client = s.recvfrom(4096)
            handle(s, packet, client)


def upstream(address, log):
    def handle(s, packet, client):
        name, end = name_at(packet, 12)
        kind = struct.unpack('>H', packet[end:end + 2])[0]
        with open(log, 'a') as f:
            f.write('%s %d\n' % (name, kind))
        known = name.endswith('.example.com') and kind == 1
        answer = packet[:2] + struct.pack('>5H', 0x8180 if known else 0x8183, 1, int(known), 0, 0) + packet[12:end + 4]
        if known:
            answer += struct.pack('>HHHIH', 0xc00c, 1, 1, 60, 4) + bytes([192, 0, 2, 7])
        s.sendto(answer, client)
    serve(address, handle)


def mirror(address, to, log):
    with socket.socket(family(to), socket.SOCK_DGRAM) as out:
        out.bind((address, 0))

        def handle(_, packet, __):
            with open(log, 'a') as f:
                f.write('query\n')
            out.sendto(packet, (to, 53))
        serve(address, handle)


def hold(address):
    with socket.create_server((address, 53)):
        signal.pause()


if __name__ == '__main__':
    if sys.argv[1] == 'query':
        try:
            print(ask(*sys.argv[2:]))
        except OSError as e:
            sys.exit('%s: %s' % (sys.argv[2], e))
    else:
        {'upstream': upstream, 'mirror': mirror, 'hold': hold}[sys.argv[1]](*sys.argv[2:])
