# Networks that are closed: --isolated, and --network-policy=closed on any. Every port that the container listens on is tried from the host and from a neighbour.
load lib

setup_file() {
	e2e_setup_file
	load net
	outside_up
	outside_server python3 -c 'import socket
s = socket.create_server(("::", 7000), family=socket.AF_INET6, dualstack_ipv6=True)
while True: s.accept()[0].close()'
	export OUTSIDE_SERVER=$!
	caisson network create --isolated --ipv6 shut > /dev/null
	caisson network create --ipv6 plain > /dev/null
	local net
	# a neighbour of each kernel on both networks, the container that is to be closed in the file's mode
	server target-shut --network shut -p 8081:80
	server target-plain --network plain --network-policy=closed -p 8082:80
	for net in shut plain; do
		server "near-$net" --isolation=process --network "$net"
		[ "$MODE" = process ] || server "nearvm-$net" --isolation=hyperv --network "$net"
	done
}

setup() { load net; }

teardown_file() {
	load net
	kill "$OUTSIDE_SERVER" 2> /dev/null || true
	outside_down
	e2e_teardown_file
}

listening="80 135" # every port that `server` listens on

# scan NAME NET: no port of it can be opened by the host or a neighbour, in either family, nor pinged
scan() {
	local port address near FROM_SECONDS=1
	for address in "$(address "$1" "$2")" "$(address6 "$1" "$2")"; do
		for port in $listening; do
			for near in near-$2 $([ "$MODE" = process ] || echo "nearvm-$2"); do
				no from "$near" "$address" "$port"
			done
		done
		no reach "$address" 135
		no busybox ping -c 1 -W 1 "$address" > /dev/null 2>&1
		no pings "near-$2" "$address"
	done
}

@test "its ports are there, as it finds itself" {
	for name in target-shut target-plain; do
		run -0 caisson exec "$name" sh -c 'for p in 80 135; do wget -qO- http://127.0.0.1:$p/; done'
		is "$output" "$name"$'\n'"$name"
	done
}

@test "neither the host nor a neighbour opens a connection; with and without br_netfilter" {
	local n
	for n in 0 1; do
		bridge_filter $n
		scan target-shut shut
		scan target-plain plain
	done
}

@test "not by way of the host either: a neighbour that sends it through the gateway" {
	local net target
	for net in shut plain; do
		target=$(address "target-$net" "$net")
		caisson run -d --name "sly-$net" --isolation=process --cap-add NET_ADMIN --network "$net" "$IMAGE" sleep 100000 > /dev/null
		caisson exec "sly-$net" ip route add "$target/32" via "$(gateway "sly-$net" "$net")"
		no from "sly-$net" "$target" 80
		caisson rm -f "sly-$net" > /dev/null
	done
}

@test "published ports stay open: from the host, from beyond, and for neighbours" {
	local n
	for n in 0 1; do
		bridge_filter $n
		is "$(says 192.0.2.1:8081)" target-shut
		is "$(says 127.0.0.1:8081)" target-shut
		is "$(says '[::1]:8082')" target-plain
		is "$(outside wget -T 3 -t 1 -qO- http://192.0.2.1:8082/)" target-plain
		is "$(hears near-shut 192.0.2.1:8081)" target-shut
		is "$(hears near-plain 192.0.2.1:8082)" target-plain
	done
}

@test "it opens connections beyond the bridge, but none to its neighbours" {
	from target-shut 192.0.2.2 7000
	from target-plain 192.0.2.2 7000
	from target-shut 2001:db8::2 7000
	no from target-shut "$(address near-shut shut)" 80
	no from target-plain "$(address near-plain plain)" 80
	no pings target-plain "$(address near-plain plain)"
}

@test "neighbours that are not closed reach each other on a plain network, not on an isolated one" {
	is "$(hears near-plain "$(address near-plain plain)")" near-plain
	server other-plain --isolation=process --network plain
	server other-shut --isolation=process --network shut
	is "$(hears near-plain other-plain)" other-plain
	no from near-shut "$(address other-shut shut)" 80
	caisson rm -f other-plain other-shut > /dev/null
}

@test "--internal --isolated: nothing in, nothing out" {
	caisson network create --internal --isolated tomb > /dev/null
	server mummy --network tomb
	no reach "$(address mummy tomb)" 80
	no from mummy 192.0.2.2 7000
	no from mummy "$(gateway mummy tomb)" 22
	caisson rm -f mummy > /dev/null
	caisson network rm tomb > /dev/null
}

@test "the policy stays over stop and start, and over a rebuild of the rules" {
	caisson stop -t 0 target-plain > /dev/null
	caisson start target-plain > /dev/null
	eventually 10 caisson exec target-plain wget -qO /dev/null http://127.0.0.1/
	nft flush ruleset
	caisson network reload
	scan target-plain plain
	is "$(says 192.0.2.1:8082)" target-plain
}
