#!/usr/bin/env python3
"""Forged and broken frames, sent from inside a container and looked for on the host. Only what python3-minimal has.

  frames.py send INTERFACE NAME=VALUE...           sends each frame some times, then `control`, which is honest
  frames.py watch FILE INTERFACE,... NAME=VALUE... until FILE exists: prints NAME@INTERFACE for the frames that were seen
  frames.py names NAME=VALUE...                    all there are
  frames.py flood INTERFACE SECONDS NAME=VALUE...  the frames and honest ones, as fast as it goes
  frames.py addresses INTERFACE COUNT NAME=VALUE.. a datagram to each of COUNT addresses of the network that nobody has, by way of the host
  frames.py connect ADDRESS PORT NAME=VALUE...     a TCP handshake sent to the bridge's hardware address, by way of the host: open, refused or nothing
  frames.py say SOURCE DESTINATION PORT NAME=VALUE... a UDP datagram to vmac, from any address
  frames.py wrong FILE < `ip neigh`                the lines in which an address has another's hardware address; FILE: "MAC IP IP6", owner by owner

Names: mac ip ip6 (the sender's), vmac vip vip6 (its neighbour's), gmac gip gip6 (the bridge's).
"""
import fcntl
import os
import select
import socket
import struct
import sys
import time

ETH_P_ALL = 3
IP, ARP, IP6 = 0x0800, 0x0806, 0x86DD
UDP, TCP, ICMP, ICMP6 = 17, 6, 1, 58
HOP, ROUTING, FRAGMENT, AUTH, DEST = 0, 43, 44, 51, 60
ALL_NODES, ALL_NODES_MAC = "ff02::1", "33:33:00:00:00:01"
BROADCAST = "ff:ff:ff:ff:ff:ff"


# ---- building ----

def mac(text):
    return bytes(int(x, 16) for x in text.split(":"))


def a4(text):
    return socket.inet_aton(text)


def a6(text):
    return socket.inet_pton(socket.AF_INET6, text)


def near(address, last):
    return address.rsplit(".", 1)[0] + ".%d" % last


def link_local(text):
    m = mac(text)
    return socket.inet_ntop(socket.AF_INET6, bytes([0xFE, 0x80] + [0] * 6 + [m[0] ^ 2, m[1], m[2], 0xFF, 0xFE, m[3], m[4], m[5]]))


def checksum(data):
    data += b"\0" * (len(data) % 2)
    n = sum(struct.unpack("!%dH" % (len(data) // 2), data))
    while n >> 16:
        n = (n & 0xFFFF) + (n >> 16)
    return ~n & 0xFFFF


def ether(dst, src, kind, payload):
    return mac(dst) + mac(src) + struct.pack("!H", kind) + payload


def arp(op, smac, sip, tmac, tip, htype=1, ptype=IP, hlen=6, plen=4):
    return struct.pack("!HHBBH", htype, ptype, hlen, plen, op) + mac(smac) + a4(sip) + mac(tmac) + a4(tip)


def ip(src, dst, proto, payload, offset=0, more=False, options=b"", ident=7):
    ihl = 5 + len(options) // 4
    head = struct.pack("!BBHHHBBH", 0x40 | ihl, 0, ihl * 4 + len(payload), ident, offset // 8 | (0x2000 if more else 0), 64, proto, 0)
    head += a4(src) + a4(dst) + options
    return head[:10] + struct.pack("!H", checksum(head)) + head[12:] + payload


def ip6(src, dst, proto, payload, hops=255):
    return struct.pack("!IHBB", 6 << 28, len(payload), proto, hops) + a6(src) + a6(dst) + payload


def pseudo6(src, dst, proto, payload):
    return a6(src) + a6(dst) + struct.pack("!II", len(payload), proto) + payload


def icmp6(src, dst, kind, body, code=0):
    data = struct.pack("!BBH", kind, code, 0) + body
    return data[:2] + struct.pack("!H", checksum(pseudo6(src, dst, ICMP6, data))) + data[4:]


def udp(sport, dport, payload):
    return struct.pack("!HHHH", sport, dport, 8 + len(payload), 0) + payload  # no checksum: allowed for IPv4


def udp6(src, dst, sport, dport, payload):
    data = struct.pack("!HHHH", sport, dport, 8 + len(payload), 0) + payload
    return data[:6] + struct.pack("!H", checksum(pseudo6(src, dst, UDP, data)) or 0xFFFF) + data[8:]


def tcp(src, dst, sport, dport, seq, ack, flags):
    data = struct.pack("!HHIIBBHHH", sport, dport, seq, ack, 5 << 4, flags, 65535, 0, 0)
    return data[:16] + struct.pack("!H", checksum(a4(src) + a4(dst) + struct.pack("!BBH", 0, TCP, len(data)) + data)) + data[18:]


def icmp(kind, code, body):
    data = struct.pack("!BBH", kind, code, 0) + body
    return data[:2] + struct.pack("!H", checksum(data)) + data[4:]


def extension(following, units=0):
    """A header of options of 8 * (units + 1) bytes, filled with padding."""
    return struct.pack("!BBBB", following, units, 1, 8 * units + 4) + bytes(8 * units + 4)


def fragment(following, offset, more, ident=99):
    return struct.pack("!BBHI", following, 0, offset | (1 if more else 0), ident)


def option6(kind, address):
    return struct.pack("!BB", kind, 1) + mac(address)


# ---- the frames ----

class Frames:
    """Names and bytes. A mark makes a frame known even if the host has changed its header."""

    def __init__(self, p):
        self.all, self.p = [], p
        p["ll"], p["vll"], p["gll"] = link_local(p["mac"]), link_local(p["vmac"]), link_local(p["gmac"])
        for make in (self.macs, self.sources4, self.arps, self.neighbours6, self.routers6, self.sources6, self.hidden6, self.servers, self.tags,
                     self.kinds, self.groups, self.broken):
            make()

    def add(self, name, frame):
        self.all.append((name, frame))

    def mark(self):
        return b"forged-%03d " % len(self.all)

    def raw4(self, name, dst, src, source, destination, proto=UDP, payload=None):
        if payload is None:
            payload = udp(1111, 9999, self.mark())
        self.add(name, ether(dst, src, IP, ip(source, destination, proto, payload)))

    def nd(self, name, dst, source, destination, kind, body, src=None):
        self.add(name, ether(dst, src or self.p["mac"], IP6, ip6(source, destination, ICMP6, icmp6(source, destination, kind, body))))

    def macs(self):
        p = self.p
        for name, source in (("neighbour", p["vmac"]), ("gateway", p["gmac"]), ("unknown", "02:42:0a:ff:ff:01"), ("group", "03:42:0a:ff:ff:01"),
                             ("zero", "00:00:00:00:00:00"), ("broadcast", BROADCAST)):
            self.raw4("mac-" + name, p["vmac"], source, p["ip"], p["vip"])
            self.raw4("mac-" + name + "-to-host", p["gmac"], source, p["ip"], p["gip"])
            self.add("mac-" + name + "-arp", ether(BROADCAST, source, ARP, arp(1, p["mac"], p["ip"], "00:00:00:00:00:00", p["gip"])))

    def sources4(self):
        p = self.p
        for name, source in (("neighbour", p["vip"]), ("gateway", p["gip"]), ("loopback", "127.0.0.1"), ("zero", "0.0.0.0"), ("group", "224.0.0.1"),
                             ("broadcast", "255.255.255.255"), ("unassigned", near(p["ip"], 222)), ("outside", "198.51.100.7"),
                             ("link-local", "169.254.7.7"), ("name-server", "169.254.53.53")):
            self.raw4("ip-" + name, p["vmac"], p["mac"], source, p["vip"])
            self.raw4("ip-" + name + "-to-host", p["gmac"], p["mac"], source, p["gip"])
            self.raw4("ip-" + name + "-broadcast", BROADCAST, p["mac"], source, "255.255.255.255")
            self.raw4("ip-" + name + "-by-host", p["gmac"], p["mac"], source, p["vip"])
        self.raw4("ip-to-loopback", p["gmac"], p["mac"], p["ip"], "127.0.0.1")

    def arps(self):
        p = self.p
        none = "00:00:00:00:00:00"
        for name, address in (("neighbour", p["vip"]), ("gateway", p["gip"]), ("unassigned", near(p["ip"], 222))):
            self.add("arp-reply-" + name, ether(BROADCAST, p["mac"], ARP, arp(2, p["mac"], address, BROADCAST, p["vip"])))
            self.add("arp-reply-to-host-" + name, ether(p["gmac"], p["mac"], ARP, arp(2, p["mac"], address, p["gmac"], p["gip"])))
            self.add("arp-reply-to-neighbour-" + name, ether(p["vmac"], p["mac"], ARP, arp(2, p["mac"], address, p["vmac"], p["vip"])))
            self.add("arp-gratuitous-" + name, ether(BROADCAST, p["mac"], ARP, arp(1, p["mac"], address, none, address)))
            self.add("arp-gratuitous-reply-" + name, ether(BROADCAST, p["mac"], ARP, arp(2, p["mac"], address, BROADCAST, address)))
            self.add("arp-request-as-" + name, ether(BROADCAST, p["mac"], ARP, arp(1, p["mac"], address, none, p["gip"])))
            self.add("arp-probe-" + name, ether(BROADCAST, p["mac"], ARP, arp(1, p["mac"], "0.0.0.0", none, address)))
            self.add("arp-mac-of-nobody-" + name, ether(BROADCAST, p["mac"], ARP, arp(2, "02:42:0a:ff:ff:01", address, BROADCAST, p["gip"])))
            self.add("arp-inverse-" + name, ether(BROADCAST, p["mac"], ARP, arp(9, p["mac"], address, BROADCAST, p["gip"])))
        self.add("arp-own-address-other-mac", ether(BROADCAST, p["mac"], ARP, arp(2, p["vmac"], p["ip"], BROADCAST, p["gip"])))
        self.add("arp-own-address-group-mac", ether(BROADCAST, p["mac"], ARP, arp(2, "01:00:5e:00:00:01", p["ip"], BROADCAST, p["gip"])))
        own = (1, p["mac"], p["ip"], none, p["gip"])
        self.add("arp-htype", ether(BROADCAST, p["mac"], ARP, arp(*own, htype=6)))
        self.add("arp-ptype", ether(BROADCAST, p["mac"], ARP, arp(*own, ptype=IP6)))
        self.add("arp-hlen", ether(BROADCAST, p["mac"], ARP, arp(*own, hlen=8)))
        self.add("arp-plen", ether(BROADCAST, p["mac"], ARP, arp(*own, plen=16)))
        self.add("rarp", ether(BROADCAST, p["mac"], 0x8035, arp(3, *own[1:])))
        for n in (0, 4, 8, 14, 17):
            self.add("arp-cut-%d" % n, ether(BROADCAST, p["mac"], ARP, arp(*own)[:n]))

    def neighbours6(self):
        p = self.p
        for name, address in (("neighbour", p["vip6"]), ("gateway", p["gip6"]), ("neighbour-link", p["vll"]), ("gateway-link", p["gll"]),
                              ("unassigned", p["ip6"] + "77")):
            for source in ("ip6", "ll"):
                for flags in (0x20000000, 0x60000000, 0xA0000000):
                    body = struct.pack("!I", flags) + a6(address) + option6(2, p["mac"])
                    self.nd("na-%s-from-%s-%x" % (name, source, flags >> 28), ALL_NODES_MAC, p[source], ALL_NODES, 136, body)
                    self.nd("na-%s-from-%s-%x-direct" % (name, source, flags >> 28), p["vmac"], p[source], p["vip6"], 136, body)
            self.nd("na-bare-" + name, ALL_NODES_MAC, p["ll"], ALL_NODES, 136, struct.pack("!I", 0x20000000) + a6(address))
            self.nd("na-as-" + name, ALL_NODES_MAC, address, ALL_NODES, 136, struct.pack("!I", 0x20000000) + a6(address) + option6(2, p["mac"]))
            self.nd("ns-as-" + name, p["gmac"], address, p["gip6"], 135, bytes(4) + a6(p["gip6"]) + option6(1, p["mac"]))
            self.nd("ns-dad-" + name, ALL_NODES_MAC, "::", ALL_NODES, 135, bytes(4) + a6(address))
        self.nd("ns-other-mac", p["gmac"], p["ip6"], p["gip6"], 135, bytes(4) + a6(p["gip6"]) + option6(1, p["vmac"]))
        self.nd("ns-other-mac-second", p["gmac"], p["ip6"], p["gip6"], 135, bytes(4) + a6(p["gip6"]) + option6(14, p["mac"]) + option6(1, p["vmac"]))
        self.nd("na-other-mac", ALL_NODES_MAC, p["ip6"], ALL_NODES, 136, struct.pack("!I", 0x20000000) + a6(p["ip6"]) + option6(2, p["vmac"]))
        self.nd("na-other-mac-second", ALL_NODES_MAC, p["ip6"], ALL_NODES, 136,
                struct.pack("!I", 0x20000000) + a6(p["ip6"]) + option6(14, p["mac"]) + option6(2, p["vmac"]))
        self.nd("na-cut", ALL_NODES_MAC, p["ip6"], ALL_NODES, 136, struct.pack("!I", 0x20000000) + a6(p["ip6"])[:9])

    def advert(self):
        prefix = struct.pack("!BBBBIII", 3, 4, 64, 0xC0, 1800, 1800, 0) + a6("2001:db8:bad::")
        return struct.pack("!BBHII", 64, 0, 1800, 0, 0) + option6(1, self.p["mac"]) + prefix

    def routers6(self):
        p = self.p
        for source in ("ll", "ip6", "gll", "vll"):
            self.nd("ra-from-" + source, ALL_NODES_MAC, p[source], ALL_NODES, 134, self.advert())
        self.nd("ra-bare", ALL_NODES_MAC, p["ll"], ALL_NODES, 134, struct.pack("!BBHII", 64, 0, 1800, 0, 0))
        self.nd("ra-direct", p["vmac"], p["ll"], p["vip6"], 134, self.advert())
        self.nd("ra-to-host", p["gmac"], p["ll"], p["gip6"], 134, self.advert())
        self.nd("rs-other-mac", "33:33:00:00:00:02", p["ll"], "ff02::2", 133, bytes(4) + option6(1, p["vmac"]))
        redirect = bytes(4) + a6(p["ll"]) + a6("2001:db8::1") + option6(2, p["mac"])
        for source in ("ll", "gll"):
            self.nd("redirect6-from-" + source, p["vmac"], p[source], p["vip6"], 137, redirect)
        self.nd("redirect6-to-host", p["gmac"], p["ll"], p["gip6"], 137, redirect)
        self.nd("mld-query", ALL_NODES_MAC, p["ll"], ALL_NODES, 130, bytes(4) + bytes(16))
        for kind, body in ((131, bytes(4) + a6("ff02::77")), (143, bytes(4))):
            self.nd("mld-report-%d-other-mac" % kind, ALL_NODES_MAC, "::", ALL_NODES, kind, body, src=p["vmac"])
        for kind in (5, 9):
            body = a4(p["ip"]) + ip(p["vip"], "192.0.2.1", UDP, udp(1, 2, b"")) if kind == 5 else struct.pack("!BBH", 1, 2, 1800) + a4(p["ip"]) + bytes(4)
            for source in ("ip", "gip"):
                self.raw4("icmp-%d-from-%s" % (kind, source), p["vmac"], p["mac"], p[source], p["vip"], ICMP, icmp(kind, 1 if kind == 5 else 0, body))

    def sources6(self):
        p = self.p
        for name, source in (("neighbour", p["vip6"]), ("gateway", p["gip6"]), ("loopback", "::1"), ("none", "::"), ("neighbour-link", p["vll"]),
                             ("gateway-link", p["gll"]), ("link", "fe80::77"), ("group", "ff02::1"), ("mapped", "::ffff:" + near(p["ip"], 222)),
                             ("outside", "2001:db8::9"), ("unassigned", p["ip6"] + "77")):
            for where, dst, destination in (("", p["vmac"], p["vip6"]), ("-to-host", p["gmac"], p["gip6"]), ("-all", ALL_NODES_MAC, ALL_NODES),
                                            ("-by-host", p["gmac"], p["vip6"])):
                self.add("ip6-" + name + where, ether(dst, p["mac"], IP6, ip6(source, destination, UDP, udp6(source, destination, 1111, 9999, self.mark()))))
        for name, source in (("ping-none", "::"), ("ping-neighbour", p["vip6"])):
            self.nd("ip6-" + name, p["vmac"], source, p["vip6"], 128, self.mark())

    def hidden6(self):
        """A router's or a neighbour's word behind other headers, from an address that is the sender's own."""
        p = self.p
        for what, kind, body in (("ra", 134, self.advert()), ("na", 136, struct.pack("!I", 0x20000000) + a6(p["gip6"]) + option6(2, p["mac"]))):
            message = icmp6(p["ll"], ALL_NODES, kind, body)

            def put(name, first, payload):
                self.add("%s-behind-%s" % (what, name), ether(ALL_NODES_MAC, p["mac"], IP6, ip6(p["ll"], ALL_NODES, first, payload)))
            put("hop-by-hop", HOP, extension(ICMP6) + message)
            put("destination", DEST, extension(ICMP6) + message)
            put("many", DEST, extension(DEST, 4) * 9 + extension(ICMP6) + message)
            put("routing", ROUTING, struct.pack("!BBBBI", ICMP6, 0, 0, 0, 0) + message)
            put("auth", AUTH, struct.pack("!BBHII", ICMP6, 1, 0, 5, 1) + message)
            put("atomic-fragment", FRAGMENT, fragment(ICMP6, 0, False) + message)
            cut = 8 * (len(message) // 16)
            put("fragment-1", FRAGMENT, fragment(ICMP6, 0, True) + message[:cut])
            # the first of these has no more than headers: what follows is not yet to be seen
            head = extension(ICMP6)
            put("late-1", FRAGMENT, fragment(DEST, 0, True, 100 + kind) + head)
            put("cut-chain-1", FRAGMENT, fragment(DEST, 0, True, 101 + kind) + extension(ICMP6, 3)[:16])
            put("empty-first", FRAGMENT, fragment(ICMP6, 0, True, 102 + kind))
            put("nested", FRAGMENT, fragment(FRAGMENT, 0, False, 103) + fragment(ICMP6, 8, False, 104) + message)
            put("beyond-the-end", DEST, struct.pack("!BB", ICMP6, 200) + bytes(6) + message)
        self.add("ip6-cut-hop-by-hop", ether(ALL_NODES_MAC, p["mac"], IP6, ip6(p["ll"], ALL_NODES, HOP, b"")))

    def servers(self):
        p = self.p
        offer = struct.pack("!BBBBIHH", 2, 1, 6, 0, 0x1234, 0, 0x8000) + bytes(4) + a4(p["vip"]) + a4(p["ip"]) + bytes(4) + mac(p["vmac"]) + bytes(10 + 192)
        offer += b"\x63\x82\x53\x63\x35\x01\x02\x03\x04" + a4(p["ip"]) + b"\xff"
        for sport in (67, 1067):
            self.raw4("dhcp-offer-%d" % sport, BROADCAST, p["mac"], p["ip"], "255.255.255.255", UDP, udp(sport, 68, offer + self.mark()))
            whole = udp(sport, 68, offer)
            self.add("dhcp-offer-%d-fragment" % sport, ether(BROADCAST, p["mac"], IP, ip(p["ip"], "255.255.255.255", UDP, whole[:8], more=True)))
            options = ether(BROADCAST, p["mac"], IP, ip(p["ip"], "255.255.255.255", UDP, udp(sport, 68, offer + self.mark()), options=b"\1" * 40))
            self.add("dhcp-offer-%d-options" % sport, options)
        for sport in (547, 1547):
            for headers in ("", "-behind-destination", "-late"):
                data = udp6(p["ll"], ALL_NODES, sport, 546, b"\x02abc" + self.mark())
                first, payload = {"": (UDP, data), "-behind-destination": (DEST, extension(UDP) + data),
                                  "-late": (FRAGMENT, fragment(UDP, 0, True, 105))}[headers]
                self.add("dhcp6-advertise-%d%s" % (sport, headers), ether(ALL_NODES_MAC, p["mac"], IP6, ip6(p["ll"], ALL_NODES, first, payload)))

    def tags(self):
        p = self.p
        for name, tag in (("0", [0x8100, 0]), ("1", [0x8100, 1]), ("5", [0x8100, 5]), ("service", [0x88A8, 5]), ("double", [0x8100, 5, 0x8100, 6]),
                          ("double-zero", [0x8100, 0, 0x8100, 0]), ("old-double", [0x9100, 5, 0x8100, 6])):
            head = struct.pack("!%dH" % len(tag), *tag)
            for source in ("ip", "vip"):
                inner = struct.pack("!H", IP) + ip(p[source], p["vip"], UDP, udp(1111, 9999, self.mark()))
                self.add("vlan-%s-%s" % (name, source), mac(p["vmac"]) + mac(p["mac"]) + head + inner)
            inner = struct.pack("!H", ARP) + arp(2, p["mac"], p["gip"], BROADCAST, p["vip"]) + self.mark()
            self.add("vlan-%s-arp" % name, mac(BROADCAST) + mac(p["mac"]) + head + inner)

    def kinds(self):
        p = self.p
        for kind in (0x0801, 0x0842, 0x6003, 0x8137, 0x8847, 0x8863, 0x8864, 0x8870, 0x888E, 0x88A2, 0x88CC, 0x88E5, 0x88F7, 0x893A, 0x9000, 0xFFFF, 46):
            inner = ip(p["ip"], p["vip"], UDP, udp(1111, 9999, self.mark()))
            self.add("type-%04x" % kind, ether(p["vmac"], p["mac"], kind, inner))
            self.add("type-%04x-broadcast" % kind, ether(BROADCAST, p["mac"], kind, self.mark() + inner))
        snap = b"\xaa\xaa\x03\0\0\0\x08\x06" + arp(2, p["mac"], p["gip"], BROADCAST, p["vip"])
        self.add("snap-arp", ether(BROADCAST, p["mac"], len(snap), snap))
        tree = b"\x42\x42\x03" + bytes(35)
        self.add("spanning-tree", ether("01:80:c2:00:00:00", p["mac"], len(tree), tree))

    def groups(self):
        """Addresses of which a bridge hears itself, past the rules for what it forwards."""
        p = self.p
        for last in (0, 1, 2, 3, 13, 14, 15):
            dst = "01:80:c2:00:00:%02x" % last
            for name in ("vmac", "gmac", "mac"):
                self.add("reserved-%d-%s" % (last, name), ether(dst, p[name], 0x88CC, self.mark() + bytes(40)))
            self.add("reserved-%d-arp" % last, ether(dst, p["mac"], ARP, arp(1, p["mac"], p["vip"], BROADCAST, p["gip"])))
            self.add("reserved-%d-ip" % last, ether(dst, p["mac"], IP, ip(p["vip"], p["gip"], UDP, udp(1, 2, self.mark()))))

    def broken(self):
        p = self.p
        whole4 = ip(p["ip"], p["vip"], UDP, udp(1111, 9999, b""))
        whole6 = ip6(p["ip6"], p["vip6"], UDP, udp6(p["ip6"], p["vip6"], 1111, 9999, b""))
        for n in (0, 1, 9, 12, 14, 19):
            self.add("ip-cut-%d" % n, ether(p["vmac"], p["mac"], IP, whole4[:n]))
            self.add("ip6-cut-%d" % n, ether(p["vmac"], p["mac"], IP6, whole6[:n]))
        self.add("ip6-cut-39", ether(p["vmac"], p["mac"], IP6, whole6[:39]))
        self.add("ip-version-6", ether(p["vmac"], p["mac"], IP, b"\x65" + whole4[1:]))
        self.add("ip6-version-4", ether(p["vmac"], p["mac"], IP6, b"\x45" + whole6[1:]))
        self.add("ip-short-header", ether(p["vmac"], p["mac"], IP, b"\x42" + whole4[1:]))
        self.add("ip-long-header", ether(p["vmac"], p["mac"], IP, b"\x4f" + whole4[1:]))
        self.add("ip-too-short", ether(p["vmac"], p["mac"], IP, whole4[:2] + b"\x00\x0a" + whole4[4:]))
        self.add("ip-too-long", ether(p["vmac"], p["mac"], IP, whole4[:2] + b"\xff\xff" + whole4[4:]))
        self.add("ip6-as-ip", ether(p["vmac"], p["mac"], IP, whole6))
        self.add("ip-as-ip6", ether(p["vmac"], p["mac"], IP6, whole4 + bytes(40)))
        for size in (1600, 2500, 9000, 60000):
            self.add("giant-%d" % size, ether(p["vmac"], p["mac"], IP, ip(p["ip"], p["vip"], UDP, udp(1111, 9999, self.mark() + bytes(size)))))
            self.add("giant-arp-%d" % size, ether(BROADCAST, p["mac"], ARP, arp(1, p["mac"], p["ip"], BROADCAST, p["gip"]) + self.mark() + bytes(size)))

    def control(self):
        """Honest, and seen by all: shows that the watch works."""
        p = self.p
        return "control", ether(BROADCAST, p["mac"], IP, ip(p["ip"], "255.255.255.255", UDP, udp(1111, 9999, b"forged-no")))


# ---- sending and seeing ----

def packet_socket(interface):
    s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)  # hears nothing before it is bound
    try:
        s.setsockopt(socket.SOL_SOCKET, 33, 16 << 20)  # SO_RCVBUFFORCE
    except OSError:
        pass
    s.bind((interface, ETH_P_ALL))
    return s


def send_one(s, frame):
    try:
        s.send(frame)
        return True
    except OSError:  # larger than the interface takes, or shorter than a header: not every way out lets everything out
        return False


def grow(interface):
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    for mtu in (65535, 9000):
        try:
            fcntl.ioctl(s, 0x8922, struct.pack("16si12x", interface.encode(), mtu))  # SIOCSIFMTU
            return
        except OSError:
            pass


def send(interface, f):
    grow(interface)
    s = packet_socket(interface)
    unsent = []
    for i in range(3):
        for name, frame in f.all:
            if not send_one(s, frame):
                unsent.append(name)
            if i == 0:
                time.sleep(0.001)
    for _ in range(5):
        s.send(f.control()[1])
        time.sleep(0.05)
    print("sent", len(f.all) - len(set(unsent)), "unsent", *sorted(set(unsent)))


def has_mark(frame):
    at = frame.find(b"forged-")
    return frame[at:at + 11] if at >= 0 else None


def watch(until, interfaces, f):
    frames = f.all + [f.control()]
    exact = {frame: name for name, frame in frames}
    # a giant may arrive in fragments, which are ordinary
    marks = {has_mark(frame): name for name, frame in frames if has_mark(frame) and not name.startswith("giant")}
    sockets = {packet_socket(i): i for i in interfaces}
    print("watching", flush=True)
    seen = set()
    while True:
        ready = select.select(list(sockets), [], [], 0.2)[0]
        for s in ready:
            frame = s.recv(70000)
            name = exact.get(frame) or marks.get(has_mark(frame))
            if name:
                seen.add(name + "@" + sockets[s])
        if not ready and os.path.exists(until):
            break
    for name in sorted(seen):
        print(name)


def flood(interface, seconds, f):
    grow(interface)
    s = packet_socket(interface)
    p = f.p
    honest = [ether(p["vmac"], p["mac"], IP, ip(p["ip"], p["vip"], UDP, udp(port, 9999, bytes(1000)))) for port in range(2000, 2100)]
    honest += [ether(p["gmac"], p["mac"], IP, ip(p["ip"], p["gip"], UDP, udp(port, 9999, bytes(10)))) for port in range(2000, 2100)]
    honest += [ether(BROADCAST, p["mac"], ARP, arp(1, p["mac"], p["ip"], BROADCAST, p["gip"]))]
    all_frames = [frame for _, frame in f.all] + honest * 3
    end = time.monotonic() + seconds
    n = 0
    while time.monotonic() < end:
        for frame in all_frames:
            n += send_one(s, frame)
    print("flooded", n)


def addresses(interface, count, f):
    s = packet_socket(interface)
    p = f.p
    first, prefix6 = p["ip"].split("."), p["ip6"].rsplit("::", 1)[0]
    for i in range(count):
        destination = ".".join(first[:2] + [str(1 + i // 250), str(1 + i % 250)])
        s.send(ether(p["gmac"], p["mac"], IP, ip(p["ip"], destination, UDP, udp(1111, 9999, b"x"))))
        destination = "%s::%x" % (prefix6, 0x1000 + i)
        s.send(ether(p["gmac"], p["mac"], IP6, ip6(p["ip6"], destination, UDP, udp6(p["ip6"], destination, 1111, 9999, b"x"))))
        if i % 50 == 0:
            time.sleep(0.002)
    print("sent", count)


def connect(address, port, f):
    p = f.p
    s = packet_socket("eth0")
    source = 30000 + os.getpid() % 20000
    for _ in range(2):
        s.send(ether(p["gmac"], p["mac"], IP, ip(p["ip"], address, TCP, tcp(p["ip"], address, source, port, 1, 0, 2))))
        end = time.monotonic() + 0.5
        while time.monotonic() < end:
            if not select.select([s], [], [], 0.1)[0]:
                continue
            frame = s.recv(70000)
            if len(frame) < 54 or frame[12:14] != b"\x08\0" or frame[23] != TCP or frame[26:30] != a4(address):
                continue
            if struct.unpack("!HH", frame[34:38]) != (port, source):
                continue
            print("open" if frame[47] & 0x12 == 0x12 else "refused")
            return
    print("nothing")


def say(source, destination, port, f):
    packet_socket("eth0").send(ether(f.p["vmac"], f.p["mac"], IP, ip(source, destination, UDP, udp(1111, port, b"said"))))


def wrong(owners):
    right = set()
    for line in open(owners):
        owner, *addresses = line.split()
        right.update((a, owner) for a in addresses + [link_local(owner)])
    for line in sys.stdin:
        words = line.split()
        if "lladdr" not in words or not words[2].startswith(("caisson", "csp", "eth0")):
            continue
        if (words[0], words[words.index("lladdr") + 1]) not in right or words[2].startswith("csp"):
            print(line.rstrip())


def main():
    verb, rest = sys.argv[1], [a for a in sys.argv[2:] if "=" not in a]
    if verb == "wrong":
        return wrong(rest[0])
    f = Frames(dict(a.split("=", 1) for a in sys.argv[2:] if "=" in a))
    if verb == "send":
        send(rest[0], f)
    elif verb == "watch":
        watch(rest[0], rest[1].split(","), f)
    elif verb == "names":
        print("\n".join(name for name, _ in f.all))
    elif verb == "flood":
        flood(rest[0], float(rest[1]), f)
    elif verb == "addresses":
        addresses(rest[0], int(rest[1]), f)
    elif verb == "connect":
        connect(rest[0], int(rest[1]), f)
    elif verb == "say":
        say(rest[0], rest[1], int(rest[2]), f)


main()
