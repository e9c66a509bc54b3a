# One network for both modes: addresses, names, who reaches whom, published ports, changes while a container runs.
load lib

setup_file() {
	e2e_setup_file
	load net
	outside_up
	server web
	caisson run -d --name peer --isolation=process --hostname peerhost "$IMAGE" sleep 100000 > /dev/null
}

setup() { load net; }

teardown_file() {
	load net
	outside_down
	e2e_teardown_file
}

@test "without --network: an address of the default network, in inspect and inside" {
	run -0 caisson exec web ip address show eth0
	has "$output" "inet $(address web)/16"
	has "$output" "inet6 $(address6 web)/64"
	has "$output" "$(field web .NetworkSettings.MacAddress)"
	run -0 caisson exec web ip route
	has "$output" "default via $(gateway web) dev eth0"
	is "$(field web .NetworkSettings.IPAddress)" "$(address web)"
	is "$(field web .HostConfig.NetworkMode)" bridge
	run -0 caisson exec web cat /etc/hosts
	has "$output" "$(address web)"
	run -0 caisson exec web cat /proc/sys/net/ipv6/conf/eth0/accept_ra
	is "$output" 0
}

@test "the subnet is one that the host does not route, and forwarding is on" {
	matches "$(address web)" '^10\.200\.'
	run -0 ip route get "$(address web)"
	has "$output" 'dev caisson0'
	is "$(cat /proc/sys/net/ipv4/ip_forward)" 1
}

@test "a process container and one of this mode ping each other, IPv4 and IPv6" {
	pings peer "$(address web)"
	pings web "$(address peer)"
	pings peer "$(address6 web)"
	pings web "$(address6 peer)"
}

@test "the host connects to a port that the container listens on, without an inbound rule" {
	is "$(says "$(address web):135")" web
	is "$(says "[$(address6 web)]:135")" web
	run -0 nft list ruleset
	hasnt "$output" 135
}

@test "names: name, short id, host name, in both families" {
	is "$(hears peer web)" web
	is "$(hears peer "$(id_of web | cut -c 1-12)")" web
	pings web peer
	pings web peerhost
	no pings web nosuch
}

@test "outbound is masqueraded" {
	outside_server python3 -c 'import socket
s = socket.create_server(("::", 7000), family=socket.AF_INET6, dualstack_ipv6=True)
while True:
    c, a = s.accept(); c.sendall((a[0] + "\n").encode()); c.close()'
	local server=$!
	eventually 5 outside "$E2E_DIR/reach" 192.0.2.2 7000
	run -0 caisson exec web nc 192.0.2.2 7000
	is "$output" ::ffff:192.0.2.1
	run -0 caisson exec web nc 2001:db8::2 7000
	is "$output" 2001:db8::1
	kill "$server"
	no outside "$E2E_DIR/reach" "$(address web)" 80
}

@test "-p: on the host's addresses, on loopback, from containers, from beyond, by hairpin; with and without br_netfilter" {
	local n
	server pub -p 8080:80 -p 127.0.0.1:0:80
	is "$(caisson port pub 80/tcp | grep -c 8080)" 2
	local random
	random=$(caisson port pub 80/tcp | sed -n 's/^127.0.0.1://p')
	is "$(says "127.0.0.1:$random")" pub
	no reach 192.0.2.1 "$random"
	for n in 0 1; do
		bridge_filter $n
		is "$(says 192.0.2.1:8080)" pub
		is "$(says 127.0.0.1:8080)" pub
		is "$(says '[::1]:8080')" pub
		is "$(says '[2001:db8::1]:8080')" pub
		is "$(outside wget -T 3 -t 1 -qO- http://192.0.2.1:8080/)" pub
		is "$(outside wget -T 3 -t 1 -qO- 'http://[2001:db8::1]:8080/')" pub
		is "$(hears peer 192.0.2.1:8080)" pub
		is "$(hears pub 192.0.2.1:8080)" pub
		is "$(hears pub "$(gateway pub):8080")" pub
	done
	run -125 --separate-stderr caisson run --rm -p 8080:80 "$IMAGE" true
	has "$stderr" 'address already in use'
	run -0 caisson ps --format '{{.Ports}}' --filter name=pub
	has "$output" '0.0.0.0:8080->80/tcp'
	has "$output" '[::]:8080->80/tcp'
	caisson rm -f pub > /dev/null
	no reach 127.0.0.1 8080
	no reach 192.0.2.1 8080
}

@test "-p: udp, a range, one host address, the port of another program" {
	requires gcc
	gcc -static -O1 -o "$E2E_DIR/udp-echo" "$BATS_TEST_DIRNAME/udp-echo.c"
	caisson run -d --name udp -v "$E2E_DIR/udp-echo:/udp-echo:ro" -p 5000:5000/udp -p 6000-6001:7000-7001 -p 192.0.2.1:6500:80 "$IMAGE" \
		sh -c 'nc -ll -p 7001 -e echo second & exec /udp-echo 5000' > /dev/null
	run -0 caisson port udp
	has "$output" '5000/udp -> 0.0.0.0:5000'
	has "$output" '7000/tcp -> 0.0.0.0:6000'
	has "$output" '80/tcp -> 192.0.2.1:6500'
	cat > "$BATS_TEST_TMPDIR/ask" <<-'P'
		import socket, sys
		s = socket.socket(socket.AF_INET6 if ":" in sys.argv[1] else socket.AF_INET, socket.SOCK_DGRAM)
		s.settimeout(1)
		s.connect((sys.argv[1], 5000))  # an answer from another address or port does not count
		s.send(b"ping")
		print(s.recv(10).decode())
	P
	local host
	for host in 192.0.2.1 127.0.0.1 ::1 2001:db8::1; do
		eventually 5 python3 "$BATS_TEST_TMPDIR/ask" "$host" || fail "no answer from $host"
	done
	eventually 5 outside python3 "$BATS_TEST_TMPDIR/ask" 192.0.2.1
	run -0 bash -c 'cat < /dev/tcp/192.0.2.1/6001'
	has "$output" second
	caisson rm -f udp > /dev/null
	python3 -c 'import socket, time
s = socket.create_server(("0.0.0.0", 6600)); print("up", flush=True); time.sleep(30)' 3>&- > "$BATS_TEST_TMPDIR/up" &
	local holder=$!
	eventually 5 grep -q up "$BATS_TEST_TMPDIR/up"
	run -125 --separate-stderr caisson run --rm -p 6600:80 "$IMAGE" true
	has "$stderr" 'Bind for 0.0.0.0:6600 failed' || has "$stderr" 'listen tcp4 0.0.0.0:6600: bind: address already in use'
	kill "$holder"
	run -0 caisson ps -aq --filter name=udp
	is "$output" ''
}

@test "networks of one's own: flags, inspect, names and aliases; no way between networks" {
	caisson network create --subnet 10.90.0.0/24 --gateway 10.90.0.254 --ip-range 10.90.0.128/25 --ipv6 --label a=b -o mtu=1400 one > /dev/null
	run -0 caisson network inspect one --format '{{(index .IPAM.Config 0).Subnet}} {{(index .IPAM.Config 0).Gateway}} {{.Labels.a}} {{.EnableIPv6}}'
	is "$output" '10.90.0.0/24 10.90.0.254 b true'
	server first --network one --ip 10.90.0.5 --mac-address 02:00:00:00:00:07 --network-alias nick
	run -0 caisson exec first ip address show eth0
	has "$output" 'inet 10.90.0.5/24'
	has "$output" 02:00:00:00:00:07
	has "$output" 'mtu 1400'
	caisson run -d --name second --isolation=process --network one "$IMAGE" sleep 100000 > /dev/null
	is "$(address second one)" 10.90.0.128
	is "$(hears second nick)" first
	is "$(hears second first)" first
	no from peer 10.90.0.5 80
	no pings peer 10.90.0.5
	run -1 --separate-stderr caisson network rm one
	has "$stderr" 'has active endpoints'
	caisson rm -f first second > /dev/null
	caisson network rm one
	no ip link show "$(caisson network inspect one --format '{{.Bridge}}' 2> /dev/null || echo caisson-none)" 2> /dev/null
}

@test "--internal: neighbours and names, nothing beyond" {
	caisson network create --internal inner > /dev/null
	server hidden --network inner
	caisson run -d --name seeker --isolation=process --network inner "$IMAGE" sleep 100000 > /dev/null
	is "$(hears seeker hidden)" hidden
	is "$(says "$(address hidden inner)")" hidden
	no pings hidden 192.0.2.2
	no from hidden "$(gateway hidden inner)" 22
	run caisson exec hidden nslookup example.test
	[ "$status" -ne 0 ] || fail "$output"
	caisson rm -f hidden seeker > /dev/null
	caisson network rm inner
}

@test "connect and disconnect while it runs: addresses, names of all its networks, routes" {
	caisson network create two > /dev/null
	server far --network two --isolation=process
	no from web "$(address far two)" 80
	caisson network connect --alias other two web
	run -0 caisson exec web ip address show eth1
	has "$output" "$(address web two)"
	is "$(hears web far)" far
	pings web peer
	is "$(hears far other)" web
	caisson network disconnect bridge web
	is "$(hears web far)" far
	no pings web peer
	run -0 caisson exec web ip route
	has "$output" "default via $(gateway web two)"
	caisson network connect bridge web
	pings web peer
	caisson network disconnect two web
	run -1 --separate-stderr caisson network disconnect two web
	has "$stderr" 'is not connected to network two'
	caisson rm -f far > /dev/null
	caisson network rm two
}

@test "hyperv: as many cards as there are slots, then a clear error; one that was put by is used again" {
	skip_in process "no cards are plugged in"
	local n
	caisson run -d --name cards "$IMAGE" sleep 100000 > /dev/null
	for n in 1 2 3 4 5 6 7 8; do caisson network create "slot$n" > /dev/null; done
	for n in 1 2 3 4 5 6 7; do caisson network connect "slot$n" cards; done
	run -1 --separate-stderr caisson network connect slot8 cards
	has "$stderr" 'no slot left'
	run -0 caisson network inspect slot8 --format '{{len .Containers}}'
	is "$output" 0
	caisson network disconnect slot2 cards
	caisson network connect slot8 cards
	is "$(caisson exec cards ip -o -4 address | grep -c ' eth')" 8
	caisson rm -f cards > /dev/null
	for n in 1 2 3 4 5 6 7 8; do caisson network rm "slot$n" > /dev/null; done
}

@test "addresses are kept over a stop, given back on rm, and not given twice" {
	caisson create --name kept "$IMAGE" sleep 100000 > /dev/null
	caisson start kept > /dev/null
	local was
	was=$(address kept)
	caisson stop -t 0 kept > /dev/null
	is "$(address kept)" ''
	caisson run --rm "$IMAGE" true
	caisson start kept > /dev/null
	is "$(address kept)" "$was"
	caisson rm -f kept > /dev/null
	caisson run -d --name after "$IMAGE" sleep 100000 > /dev/null
	is "$(address after)" "$was"
	caisson rm -f after > /dev/null
}

@test "mistakes are told before anything is made" {
	local before
	before=$(nft list ruleset | md5sum; ip -br link | grep ^caisson)
	caisson network create --subnet 10.91.0.0/24 fixed > /dev/null
	expect() { # expect TEXT COMMAND...
		local text=$1
		shift
		run --separate-stderr caisson "$@"
		[ "$status" -ne 0 ] || fail "worked: $*"
		has "$stderr" "$text"
	}
	expect 'network nosuch not found' run --rm --network nosuch "$IMAGE" true
	expect 'no configured subnet contains IP address 10.92.0.1' run --rm --network fixed --ip 10.92.0.1 "$IMAGE" true
	expect 'Address already in use' run --rm --network fixed --ip 10.91.0.1 "$IMAGE" true
	expect 'user defined networks only' run --rm --ip 10.200.0.9 "$IMAGE" true
	expect 'invalid MAC address' run --rm --mac-address 01:00:00:00:00:01 "$IMAGE" true
	expect 'Pool overlaps' network create --subnet 10.91.0.128/25 over
	expect 'Pool overlaps' network create --subnet 192.0.2.0/25 over
	expect 'already exists' network create fixed
	expect 'predefined' network rm bridge
	expect 'predefined' network create host
	expect 'not found' network rm nosuch
	expect 'not found' network connect nosuch web
	expect 'No such container' network connect fixed nosuch
	expect 'already exists in network bridge' network connect bridge web
	expect 'must be "open" or "closed"' run --rm --network-policy=ajar "$IMAGE" true
	caisson network rm fixed > /dev/null
	is "$(nft list ruleset | md5sum; ip -br link | grep ^caisson)" "$before"
	run -0 caisson ps -aq --filter name=fixed
	is "$output" ''
}

@test "--network=container: joins a process container's network; a VM has its own" {
	if [ "$MODE" = hyperv ]; then
		run -125 --separate-stderr caisson run --rm --network container:peer "$IMAGE" true
		has "$stderr" 'own kernel'
		return
	fi
	run -0 caisson run --rm --network container:peer "$IMAGE" ip -o -4 address show eth0
	has "$output" "$(address peer)"
	caisson run -d --name joined --network container:peer "$IMAGE" sleep 1000 > /dev/null
	is "$(caisson exec joined readlink /proc/self/ns/net)" "$(caisson exec peer readlink /proc/self/ns/net)"
	caisson rm -f joined > /dev/null
	run -125 --separate-stderr caisson run --rm --network container:nosuch "$IMAGE" true
	has "$stderr" 'No such container'
}

@test "after nft flush ruleset, or when the bridge has gone, everything is rebuilt; the number of rules does not grow" {
	local before
	before=$(rules)
	nft flush ruleset
	caisson network ls > /dev/null
	is "$(rules)" "$before"
	pings peer "$(address web)"
	nft flush ruleset
	caisson run --rm --isolation=process "$IMAGE" ping -c 1 -W 2 web
	ip link delete caisson0
	caisson network reload
	pings peer "$(address web)"
	is "$(says "$(address web):135")" web
	is "$(rules)" "$before"
}

@test "the name server is started again when it or its holder is killed" {
	local pid
	for pid in $(sed -n '1s/ .*//p; 2s/ .*//p' "$CAISSON_RUN/networks/"*/dns.pid); do kill -9 "$pid" 2> /dev/null || true; done
	caisson network inspect bridge > /dev/null
	eventually 5 pings peer web
}

@test "--dns, --dns-search, --add-host" {
	run -0 caisson run --rm --dns 192.0.2.53 --dns-search example.test --add-host db:192.0.2.7 --add-host gw:host-gateway "$IMAGE" cat /etc/resolv.conf /etc/hosts
	has "$output" 'nameserver 192.0.2.53'
	has "$output" 'search example.test'
	has "$output" $'192.0.2.7\tdb'
	has "$output" "$(gateway web)"$'\tgw'
	run -0 caisson run --rm "$IMAGE" cat /etc/resolv.conf
	has "$output" 'nameserver 169.254.53.53'
}

@test "rename: the new name resolves, the old one does not" {
	caisson rename peer companion
	eventually 5 pings web companion
	no pings web peer
	caisson rename companion peer
}

@test "network prune: those without a container; the default one's bridge goes with it, and comes back" {
	caisson network create --label keep=no idle > /dev/null
	caisson network create busy > /dev/null
	caisson create --name holder --network busy "$IMAGE" true > /dev/null
	run -0 caisson network prune -f --filter label=nosuch
	is "$output" ''
	run -0 caisson network prune -f
	has "$output" idle
	hasnt "$output" busy
	hasnt "$output" bridge
	caisson rm holder > /dev/null
	caisson network rm busy > /dev/null
	caisson rm -f web peer > /dev/null
	caisson network prune -f > /dev/null
	is "$(ip -br link | grep -c ^caisson || true)" 0
	is "$(nft list tables)" ''
	caisson run --rm "$IMAGE" ip address show eth0 > /dev/null
}

@test "nothing is left" {
	remove_all
	assert_nothing_left
}
@test "a host that knows no protocol by its name" {
	run -0 unshare -m --propagation private sh -c 'mount --bind /dev/null /etc/protocols && exec "$@"' sh "$CAISSON" network reload
	run -0 caisson run --rm "$IMAGE" ping -c 1 -W 5 "$(caisson network inspect --format '{{(index .IPAM.Config 0).Gateway}}' bridge)"
}

