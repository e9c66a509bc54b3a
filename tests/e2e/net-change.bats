# Networks that come and go under a container, running or not: interfaces, routes, names, published ports.
load lib

setup_file() {
	e2e_setup_file
	load net
	outside_up
	caisson network create --subnet 10.94.0.0/24 north > /dev/null
	caisson network create --subnet 10.95.0.0/24 --ipv6 south > /dev/null
	caisson run -d --name asker --isolation=process "$IMAGE" sleep 100000 > /dev/null
	caisson run -d --name northern --isolation=process --network north --network-alias polar "$IMAGE" sleep 100000 > /dev/null
}

setup() { load net; }

teardown_file() {
	load net
	outside_down
	e2e_teardown_file
}

interfaces() { caisson exec "$1" ls /sys/class/net | sort | paste -sd ' '; }

published() { # published NAME: on every address where it should be
	local host
	for host in 192.0.2.1 127.0.0.1 '[::1]' '[2001:db8::1]'; do
		is "$(says "$host:8080")" "$1" || fail "at $host"
	done
	is "$(outside wget -T 3 -t 1 -qO- http://192.0.2.1:8080/)" "$1"
}

unpublished() {
	local host
	for host in 192.0.2.1 127.0.0.1 ::1 2001:db8::1; do
		no says "$host:8080"
	done
	no outside wget -T 2 -t 1 -qO- http://192.0.2.1:8080/
}

@test "published ports follow: never to who gets the address next, then to the next network" {
	server moving -p 8080:80
	local was
	was=$(address moving)
	published moving
	caisson network disconnect bridge moving
	server heir --isolation=process
	is "$(address heir)" "$was"
	unpublished
	caisson network connect north moving
	published moving
	# another network changes nothing, until the one with the ports goes
	caisson network connect bridge moving
	published moving
	is "$(nft list map inet caisson publish4 | grep -c 10.94.0)" 1
	caisson network disconnect north moving
	published moving
	is "$(nft list map inet caisson publish4 | grep -c 10.94.0)" 0
	caisson rm -f moving heir > /dev/null
	unpublished
	is "$(nft list ruleset | grep -c 8080)" 0
}

@test "a network that is connected while the container is stopped is there after the start, and one that was disconnected is not" {
	caisson create --name stopped --network north --ip 10.94.0.77 "$IMAGE" sleep 100000 > /dev/null
	caisson network connect --ip 10.95.0.66 --alias tropic south stopped
	run -1 --separate-stderr caisson network connect south stopped
	has "$stderr" 'already exists in network south'
	caisson network connect bridge stopped
	caisson network disconnect bridge stopped
	caisson start stopped > /dev/null
	run -0 caisson exec stopped ip -o -4 address
	has "$output" 'inet 10.94.0.77/24'
	has "$output" 'inet 10.95.0.66/24'
	hasnt "$output" 10.200
	is "$(interfaces stopped)" 'eth0 eth1 lo'
	run -0 caisson exec stopped ip -6 address show eth1
	has "$output" "$(address6 stopped south)/64"
	pings stopped polar
	caisson stop -t 0 stopped > /dev/null
	caisson network disconnect north stopped
	run -0 caisson network inspect north --format '{{range .Containers}}{{.Name}} {{end}}'
	is "$output" 'northern '
	caisson start stopped > /dev/null
	run -0 caisson exec stopped ip -o -4 address
	hasnt "$output" 10.94
	has "$output" 'inet 10.95.0.66/24'
	caisson rm -f stopped > /dev/null
}

@test "the first of three networks goes: the others have their names and addresses after a start, too" {
	caisson network create third > /dev/null
	caisson run -d --name three --network north --network south --network third "$IMAGE" sleep 100000 > /dev/null
	caisson network disconnect north three
	is "$(interfaces three)" 'eth1 eth2 lo'
	local before
	before=$(caisson exec three ip -o -4 address | awk '{print $2, $4}')
	caisson stop -t 0 three > /dev/null
	caisson start three > /dev/null
	is "$(interfaces three)" 'eth1 eth2 lo'
	is "$(caisson exec three ip -o -4 address | awk '{print $2, $4}')" "$before"
	caisson rm -f three > /dev/null
	caisson network rm third > /dev/null
}

@test "disconnected from all: no interface, no names; connected again: both, and the way out" {
	caisson run -d --name lonely "$IMAGE" sleep 100000 > /dev/null
	caisson network disconnect bridge lonely
	is "$(interfaces lonely)" lo
	no pings lonely asker
	is "$(field lonely '(len .NetworkSettings.Networks)')" 0
	is "$(nft list ruleset | grep -o '"csp[0-9a-f]*"' | sort -u | wc -l)" 2
	caisson network connect north lonely
	pings lonely polar
	pings lonely 192.0.2.2
	caisson network disconnect north lonely
	# it begins without any
	caisson stop -t 0 lonely > /dev/null
	caisson start lonely > /dev/null
	is "$(interfaces lonely)" lo
	caisson network connect bridge lonely
	pings lonely asker
	pings lonely 192.0.2.2
	pings asker lonely
	caisson rm -f lonely > /dev/null
}

@test "connect with addresses and aliases; what is not possible is told, and changes nothing" {
	caisson run -d --name picky "$IMAGE" sleep 100000 > /dev/null
	local before
	before=$(nft list ruleset)
	expect() { # expect TEXT COMMAND...
		local text=$1
		shift
		run --separate-stderr caisson "$@"
		[ "$status" -ne 0 ] || fail "worked: $*"
		has "$stderr" "$text"
		is "$(interfaces picky)" 'eth0 lo'
		is "$(field picky '(len .NetworkSettings.Networks)')" 1
	}
	expect 'no configured subnet contains IP address 10.95.0.9' network connect --ip 10.95.0.9 north picky
	expect 'Address already in use' network connect --ip "$(address northern north)" north picky
	expect 'Address already in use' network connect --ip 10.94.0.1 north picky
	expect 'no configured subnet contains IP address 10.94.0.255' network connect --ip 10.94.0.255 north picky
	expect 'no configured subnet contains IP address fd00::1' network connect --ip6 fd00::1 north picky
	expect 'invalid' network connect --ip nonsense north picky
	expect 'not found' network connect nosuch picky
	expect 'already exists in network bridge' network connect bridge picky
	expect 'is not connected to network north' network disconnect north picky
	expect 'not found' network disconnect nosuch picky
	is "$(nft list ruleset)" "$before"
	caisson network connect --ip 10.94.0.50 --alias snow --alias ice north picky
	is "$(address picky north)" 10.94.0.50
	pings northern snow
	pings northern ice
	no pings asker snow
	caisson network disconnect north picky
	no pings northern snow
	caisson rm -f picky > /dev/null
}

@test "containers without a network of their own cannot be connected" {
	local mode
	for mode in none host; do
		[ "$mode $MODE" != 'host hyperv' ] || continue
		caisson run -d --name other --network $mode "$IMAGE" sleep 100000 > /dev/null
		run -1 --separate-stderr caisson network connect north other
		has "$stderr" 'cannot be connected'
		run -1 caisson network disconnect bridge other
		caisson rm -f other > /dev/null
	done
	is "$(caisson network inspect north --format '{{len .Containers}}')" 1
}

@test "the same hardware address on two networks of one container is refused" {
	run -125 --separate-stderr caisson run --rm --network name=north,mac-address=02:00:00:00:00:01 \
		--network name=south,mac-address=02:00:00:00:00:01 "$IMAGE" true
	has "$stderr" 'hardware address 02:00:00:00:00:01 is in use'
	run -0 caisson ps -aq --filter name=twice
	is "$output" ''
	run -0 caisson run --rm --network name=north,mac-address=02:00:00:00:00:01 --network name=south,mac-address=02:00:00:00:00:02 "$IMAGE" \
		sh -c 'cat /sys/class/net/eth0/address /sys/class/net/eth1/address'
	is "$output" $'02:00:00:00:00:01\n02:00:00:00:00:02'
}

@test "several networks from the start: the first has the default route, each has its names" {
	caisson run -d --name both --network south --network north "$IMAGE" sleep 100000 > /dev/null
	run -0 caisson exec both ip route
	matches "$output" "default via 10.95.0.1 dev eth0"
	caisson run -d --name southern --isolation=process --network south "$IMAGE" sleep 100000 > /dev/null
	pings both polar
	pings both southern
	pings southern both
	pings northern both
	no pings northern southern
	pings both "$(address6 southern south)"
	caisson rm -f both southern > /dev/null
}

@test "connected and disconnected again and again" {
	local n
	caisson run -d --name restless "$IMAGE" sleep 100000 > /dev/null
	for n in 1 2 3 4 5 6; do
		caisson network connect north restless
		pings restless polar
		caisson network disconnect north restless
		is "$(interfaces restless)" 'eth0 lo'
	done
	pings restless asker
	is "$(ip -br link | grep -c ^csp)" "$([ "$MODE" = process ] && echo 3 || echo 4)" # a VM's card is put by
	caisson rm -f restless > /dev/null
	is "$(ip -br link | grep -c ^csp)" 2
}

@test "several connects and disconnects of one container at once: one place, true in the end" {
	local n pids=
	caisson run -d --name pulled "$IMAGE" sleep 100000 > /dev/null
	for n in 1 2 3 4; do
		("$CAISSON" network connect north pulled > /dev/null 2> "$BATS_TEST_TMPDIR/err.$n" && echo done >> "$BATS_TEST_TMPDIR/done" || true) &
		pids+=" $!"
	done
	wait $pids
	is "$(wc -l < "$BATS_TEST_TMPDIR/done")" 1
	is "$(grep -l 'already exists in network north' "$BATS_TEST_TMPDIR"/err.* | wc -l)" 3
	pings pulled polar
	pids=
	for n in 1 2 3 4; do
		("$CAISSON" network disconnect north pulled > /dev/null 2>&1 || true) &
		pids+=" $!"
		("$CAISSON" network connect south pulled > /dev/null 2>&1 || true) &
		pids+=" $!"
	done
	wait $pids
	run -0 caisson network inspect north --format '{{len .Containers}}'
	is "$output" 1
	pings pulled asker
	run -0 caisson exec pulled ip -o -4 address
	has "$output" "$(address pulled south)"
	hasnt "$output" 10.94
	caisson rm -f pulled > /dev/null
	is "$(nft list ruleset | grep -o '"csp[0-9a-f]*"' | sort -u | wc -l)" 2
}

@test "nothing is left" {
	remove_all
	assert_nothing_left
	caisson network rm north south > /dev/null
	is "$(ip -br link | grep -c '^caisson-' || true)" 0
}
