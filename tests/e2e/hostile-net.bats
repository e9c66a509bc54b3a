# Containers that lie on the network, or break it: `evil` in the file's mode, root with a raw socket or a whole kernel of its own, against its neighbour `near` and
# the host. tests/e2e/frames.py makes the frames, and looks for them on the bridge and on the neighbour's port.
load lib

setup_file() {
	e2e_setup_file
	load net
	outside_up
	caisson pull -q "$IMAGES/debian" > /dev/null
	caisson run -d --name evil --cap-add NET_ADMIN "$IMAGES/debian" sleep 100000 > /dev/null
	server near
	server friend --isolation=process
	server shut --network-policy=closed
	export BRIDGE=caisson0 FRAMES=$BATS_TEST_DIRNAME/frames.py
	for name in evil near friend shut; do owner "$(mac $name)" "$(address $name)" "$(address6 $name)"; done
	owner "$(bridge_mac)" "$(gateway near)" "$(gateway6 near)"
}

setup() { load net; }

teardown_file() {
	load net
	outside_down
	e2e_teardown_file
}

owner() { echo "$*" >> "$E2E_DIR/owners"; }
mac() { field "$1" '(index .NetworkSettings.Networks "bridge").MacAddress'; }
port() { field "$1" '(index .NetworkSettings.Networks "bridge").EndpointID'; }

# what frames.py is to know, `evil` being the sender
names() { # names NEIGHBOUR
	echo "mac=$(mac evil) ip=$(address evil) ip6=$(address6 evil) vmac=$(mac "$1") vip=$(address "$1") vip6=$(address6 "$1")"
	echo "gmac=$(bridge_mac) gip=$(gateway evil) gip6=$(gateway6 evil)"
}

gateway6() { field "$1" '(index .NetworkSettings.Networks "bridge").IPv6Gateway'; }
bridge_mac() { ip -br link show "$BRIDGE" | awk '{ print $3 }'; }

evil() { caisson exec -i evil python3 - "$@" < "$FRAMES"; }

# attack NEIGHBOUR: evil sends all it has; SEEN is what came through
attack() {
	local watch learned
	bridge monitor fdb > "$BATS_TEST_TMPDIR/learned" 3>&- &
	learned=$!
	rm -f "$BATS_TEST_TMPDIR/stop" "$BATS_TEST_TMPDIR/seen"
	python3 "$FRAMES" watch "$BATS_TEST_TMPDIR/stop" "$BRIDGE,$(port "$1")" $(names "$1") > "$BATS_TEST_TMPDIR/seen" 3>&- &
	watch=$!
	eventually 10 grep -q watching "$BATS_TEST_TMPDIR/seen"
	evil send eth0 $(names "$1")
	: > "$BATS_TEST_TMPDIR/stop"
	wait "$watch"
	kill "$learned"
	is "$(grep " $(port evil) " "$BATS_TEST_TMPDIR/learned" | grep -v "^\(Deleted \)\?$(mac evil) ")" ''
	# a frame larger than the MTU goes to no port, but the host takes what it is sent
	SEEN=$(grep -v -e watching -e "^giant-.*@$BRIDGE" "$BATS_TEST_TMPDIR/seen")
}

host_pings() { busybox ping -c 1 -W 1 "$1" > /dev/null 2>&1; }
flush() { ip neigh flush dev "$BRIDGE"; }

# Nobody has come to believe anything.
truth() { # truth NEIGHBOUR
	is "$(ip neigh | python3 "$FRAMES" wrong "$E2E_DIR/owners")" ''
	is "$(caisson exec "$1" ip neigh | python3 "$FRAMES" wrong "$E2E_DIR/owners")" ''
	is "$(bridge fdb show br "$BRIDGE" | sed -n "s/^$(mac "$1") dev \([^ ]*\) .*/\1/p" | sort -u)" "$(port "$1")"
	hasnt "$(caisson exec "$1" ip -6 route)" ' ra '
	hasnt "$(caisson exec "$1" ip -6 route)" 2001:db8:bad
	hasnt "$(ip -6 route)" 2001:db8:bad
}

# Host, neighbours and what is beyond reach each other.
all_well() {
	local name
	for name in near friend; do
		is "$(says "$(address $name)")" "$name"
		is "$(says "[$(address6 $name)]")" "$name"
		pings $name 192.0.2.2
	done
	is "$(hears friend "$(address near)")" near
	is "$(hears near "[$(address6 friend)]")" friend
}

@test "forged, hidden and broken frames: none leaves its port, with and without br_netfilter" {
	local n
	for n in 0 1; do
		bridge_filter $n
		flush
		all_well
		attack near
		is "$SEEN" "control@$BRIDGE"$'\n'"control@$(port near)"
		truth near
		all_well
	done
}

@test "against a closed neighbour, whom not even what is honest reaches" {
	flush
	attack shut
	is "$SEEN" "control@$BRIDGE"
	truth near
}

@test "what is ordinary passes: large datagrams in fragments, both families, to the neighbour, the host and beyond" {
	local n to
	for n in 0 1; do
		bridge_filter $n
		for to in "$(address near)" "$(address6 near)" "$(gateway evil)" 192.0.2.2 2001:db8::2; do
			caisson exec friend ping -c 1 -W 3 -s 4000 "$to" > /dev/null || fail "no large answer from $to, br_netfilter $n"
		done
	done
}

@test "another hardware address: nothing passes until the own one is back" {
	local own
	caisson run -d --name shifty --cap-add NET_ADMIN "$IMAGE" sleep 100000 > /dev/null
	own=$(mac shifty)
	owner "$own" "$(address shifty)" "$(address6 shifty)"
	pings shifty "$(address near)"
	for other in "$(mac near)" "$(bridge_mac)" 02:42:0a:ff:00:99; do
		caisson exec shifty ip link set eth0 address "$other"
		no pings shifty "$(address near)"
		all_well
	done
	truth near
	caisson exec shifty ip link set eth0 address "$own"
	pings shifty "$(address near)"
	caisson rm -f shifty > /dev/null
}

@test "another address, taken beside the own one: nothing comes from it or gets to it" {
	caisson run -d --name greedy --cap-add NET_ADMIN "$IMAGE" sleep 100000 > /dev/null
	owner "$(mac greedy)" "$(address greedy)" "$(address6 greedy)"
	flush
	caisson exec greedy sh -c "ip address add $(address near)/16 dev eth0; ip address add $(gateway greedy)/16 dev eth0; ip address add 10.200.99.99/16 dev eth0
		ip address add $(address6 near)/64 dev eth0; ip address add fe80::77/64 dev eth0"
	for from in "$(address near)" "$(gateway greedy)" 10.200.99.99; do
		no caisson exec greedy ping -c 1 -W 1 -I "$from" "$(address friend)" > /dev/null 2>&1
	done
	no host_pings 10.200.99.99
	no host_pings "fe80::77%$BRIDGE"
	truth near
	all_well
	caisson rm -f greedy > /dev/null
}

@test "by way of the host: nothing that a neighbour sends to the bridge comes back to the same bridge" {
	local n name
	for n in 0 1; do
		bridge_filter $n
		for name in near friend shut; do
			is "$(evil connect "$(address $name)" 80 $(names $name))" nothing
		done
	done
}

@test "a flood to addresses that nobody has leaves no mark on the host" {
	flush
	evil addresses eth0 2000 $(names near)
	[ "$(ip neigh show dev "$BRIDGE" | wc -l)" -lt 20 ] || fail "neighbours of the host: $(ip neigh show dev "$BRIDGE" | wc -l)"
	all_well
}

@test "a flood of everything at once: host and neighbours keep working" {
	local flood n=0
	evil flood eth0 8 $(names near) > "$BATS_TEST_TMPDIR/flood" 3>&- &
	flood=$!
	sleep 1
	while kill -0 "$flood" 2> /dev/null; do
		all_well
		outside busybox ping -c 1 -W 3 192.0.2.1 > /dev/null
		n=$((n + 1))
	done
	wait "$flood"
	matches "$(cat "$BATS_TEST_TMPDIR/flood")" 'flooded [0-9]{4,}'
	[ "$n" -ge 1 ]
	truth near
	all_well
}

@test "the host's loopback stays its own, where it routes that as well" {
	local server
	python3 -c 'import socket
s = socket.create_server(("127.0.0.1", 7001))
while True: s.accept()[0].close()' > /dev/null 2>&1 3>&- &
	server=$!
	eventually 5 reach 127.0.0.1 7001
	echo 1 > "/proc/sys/net/ipv4/conf/$BRIDGE/route_localnet"
	is "$(evil connect 127.0.0.1 7001 $(names near))" nothing
	echo 0 > "/proc/sys/net/ipv4/conf/$BRIDGE/route_localnet"
	kill "$server"
}

@test "a port that has lost its bridge is no way to the host" {
	local heard=$BATS_TEST_TMPDIR/heard port server
	port=$(port evil)
	python3 -c 'import socket, sys
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind(("", 9998))
print("ready", flush=True)
while True: print(s.recvfrom(100)[1][0], flush=True)' > "$heard" 2>&1 3>&- &
	server=$!
	eventually 10 grep -q ready "$heard"
	evil say "$(address evil)" "$(gateway evil)" 9998 $(names near) "vmac=$(bridge_mac)"
	eventually 5 grep -qx "$(address evil)" "$heard"
	ip link set "$port" nomaster
	for to in "$(ip -br link show "$port" | awk '{ print $3 }')" ff:ff:ff:ff:ff:ff 01:80:c2:00:00:0e; do
		evil say "$(address near)" "$(gateway evil)" 9998 $(names near) "vmac=$to"
	done
	sleep 0.5
	ip link set "$port" master "$BRIDGE"
	kill "$server"
	is "$(cat "$heard")" "ready"$'\n'"$(address evil)"
}

@test "a closed container hears nothing that the host says to all, nor at its link-local address" {
	local heard=$BATS_TEST_TMPDIR/heard seen link
	link=$(python3 -c 'import sys
m = [int(x, 16) for x in sys.argv[1].split(":")]
print("fe80::%x:%xff:fe%02x:%x" % ((m[0] ^ 2) << 8 | m[1], m[2], m[3], m[4] << 8 | m[5]))' "$(mac shut)")
	caisson exec shut ip address show dev eth0 | grep -q "$link" || fail "its link-local address is not $link"
	tcpdump -n -i "$(port shut)" -w "$heard" -U --immediate-mode \
		'udp port 9999 or tcp or (icmp6 and ip6[40] == 128)' > /dev/null 2>&1 3>&- &
	seen=$!
	eventually 10 test -s "$heard"
	no reach "$link%$BRIDGE" 80
	python3 -c 'import socket, sys
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
s.bind((sys.argv[1], 0))
s.sendto(b"x", ("10.200.255.255", 9999))
s.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton(sys.argv[1]))
s.sendto(b"x", ("224.0.0.1", 9999))
s = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
s.sendto(b"x", ("ff02::1", 9999, 0, socket.if_nametoindex(sys.argv[2])))' "$(gateway shut)" "$BRIDGE"
	host_pings "ff02::1%$BRIDGE" || true
	sleep 1
	kill "$seen"
	wait "$seen" || true
	is "$(tcpdump -n -r "$heard" 2> /dev/null)" ''
}

@test "nothing is left behind" {
	remove_all
	assert_nothing_left
}
