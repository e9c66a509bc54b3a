# Networks under kills, races and hosts that lack something: the next command finds a true state, and nothing is left.
load lib

setup_file() {
	e2e_setup_file
	load net
}

setup() { load net; }

# The address that the next container gets: the lowest that is free.
next_address() {
	caisson create --name next "$IMAGE" true > /dev/null
	caisson start next > /dev/null 2>&1 || true
	nft list ruleset > /dev/null
	sqlite_address next
	caisson rm -f next > /dev/null
}

# What the database says, whether the container runs or not.
sqlite_address() {
	python3 - "$CAISSON_ROOT/db.sqlite" "$(id_of "$1")" <<-'P'
		import sqlite3, sys
		print(sqlite3.connect(f"file:{sys.argv[1]}?mode=ro", uri=True).execute("SELECT address4 FROM endpoints WHERE container = ?", (sys.argv[2],)).fetchone()[0])
	P
}

@test "kill -9 of the monitor: no interface, element, port or name is left, and the address is free after rm" {
	server victim -p 8081:80
	local was
	was=$(address victim)
	reach 127.0.0.1 8081
	kill -9 "$(monitor_of victim)"
	eventually 5 status_is victim exited
	no reach 127.0.0.1 8081
	hasnt "$(nft list ruleset)" "$was"
	eventually 5 eval '! ip -br link | grep -q ^csp'
	is "$(find "$CAISSON_RUN/networks" -path '*/hosts/*' -type f)" ''
	caisson rm victim
	is "$(next_address)" "$was"
}

@test "kill -9 of QEMU: the same" {
	skip_in process "there is none"
	server victim -p 8081:80
	local was pid
	was=$(address victim)
	for pid in $(helpers_of victim qemu-system); do kill -9 "$pid"; done
	eventually 10 status_is victim exited
	hasnt "$(nft list ruleset)" "$was"
	is "$(ip -br link | grep ^csp)" ''
	caisson rm victim
}

@test "kill -9 of everything at once, the run directory gone: start works, then rm leaves nothing" {
	server victim -p 8081:80
	local pid
	for pid in "$(monitor_of victim)" $(descendants "$(monitor_of victim)"); do kill -9 "$pid" 2> /dev/null || true; done
	caisson start victim > /dev/null
	status_is victim running
	eventually 10 says 127.0.0.1:8081
	remove_all
	assert_nothing_left
}

@test "network create, connect, disconnect and rm killed at system calls of all their life" {
	requires strace
	skip_in hyperv "the same code but for the card, whose cases are in network.bats"
	killed() { # killed COMMAND...: at every 13th system call, until it gets through
		local n status
		for ((n = 1; n < 2000; n += 13)); do
			$prepare
			status=0
			timeout 30 strace -o /dev/null -e inject=all:signal=KILL:when="$n" -- "$CAISSON" "$@" > /dev/null 2>&1 < /dev/null || status=$?
			# the next commands find a state they can go on from
			caisson network ls > /dev/null || fail "ls after a kill at $n of $*"
			caisson inspect runs > /dev/null || fail "inspect after a kill at $n of $*"
			$finish
			[ $status != 0 ] || return 0
		done
		fail "never got through: $*"
	}
	caisson run -d --name runs "$IMAGE" sleep 100000 > /dev/null
	remove_net() {
		caisson network disconnect -f net runs 2> /dev/null || true
		caisson network rm net > /dev/null 2>&1 || true
		is "$(caisson network ls -q --filter name=net | wc -l)" 0
		is "$(ip -br link | grep -c '^caisson-' || true)" 0
		is "$(caisson exec runs ls /sys/class/net | sort | paste -sd ' ')" 'eth0 lo'
		is "$(nft list ruleset | grep -o '"csp[0-9a-f]*"' | sort -u | wc -l)" 1
	}
	make_net() { caisson network create net > /dev/null; }
	join_net() { make_net && caisson network connect net runs; }
	prepare=true finish=remove_net killed network create net
	prepare=make_net finish=remove_net killed network connect net runs
	prepare=join_net finish=remove_net killed network disconnect net runs
	prepare=make_net finish=remove_net killed network rm net
	caisson exec runs ping -c 1 -W 2 10.200.0.1 > /dev/null
	remove_all
}

@test "many starts at once: all succeed, no address twice, nothing is left" {
	local n=50 i pids=
	[ "$MODE" = process ] || n=4
	for i in $(seq $n); do
		"$CAISSON" run -d --name "many$i" "$IMAGE" sleep 100000 > /dev/null 2> "$BATS_TEST_TMPDIR/err.$i" &
		pids="$pids $!"
	done
	for i in $pids; do ends_with 0 "$i" || fail "$(cat "$BATS_TEST_TMPDIR"/err.*)"; done
	is "$(caisson ps -q | wc -l)" $n
	is "$(for i in $(seq $n); do address "many$i"; done | sort -u | wc -l)" $n
	is "$(ip -br link | grep -c ^csp)" $n
	caisson exec many1 ping -c 1 -W 3 "many$n" > /dev/null
	remove_all
	assert_nothing_left
}

@test "many creations at once on a small network: each address once, then a clear error" {
	local i pids=
	caisson network create --subnet 10.93.0.0/28 small > /dev/null
	for i in $(seq 20); do
		"$CAISSON" create --name "small$i" --network small "$IMAGE" true > /dev/null 2> "$BATS_TEST_TMPDIR/err.$i" &
		pids="$pids $!"
	done
	for i in $pids; do wait "$i" || true; done
	is "$(caisson ps -aq | wc -l)" 13 # 14 hosts less the gateway
	has "$(cat "$BATS_TEST_TMPDIR"/err.*)" 'no available IPv4 addresses'
	remove_all
	caisson network rm small > /dev/null
}

@test "a host without nft, or whose forwarding cannot be turned on: a clear error, and nothing is made" {
	local links
	nft flush ruleset
	ip link delete caisson0 2> /dev/null || true
	links=$(ip -br link)
	# a file that cannot be run
	run -125 --separate-stderr unshare -m --propagation private sh -c "mount --bind /dev/null /usr/sbin/nft && exec '$CAISSON' run --rm '$IMAGE' true"
	has "$stderr" nft
	is "$(ip -br link)" "$links"
	echo 0 > /proc/sys/net/ipv4/ip_forward
	run -125 --separate-stderr unshare -m --propagation private sh -c "mount --bind /proc/sys/net/ipv4 /proc/sys/net/ipv4 && mount -o remount,ro,bind /proc/sys/net/ipv4 && exec '$CAISSON' run --rm '$IMAGE' true"
	has "$stderr" ip_forward
	is "$(ip -br link)" "$links"
	caisson run --rm "$IMAGE" true
	is "$(cat /proc/sys/net/ipv4/ip_forward)" 1
	remove_all
}

@test "stop and start at once, again and again: the interface of the last run does not stand in the way" {
	skip_in hyperv "a boot each time"
	local i
	caisson create --name again "$IMAGE" true > /dev/null
	for i in 1 2 3 4 5 6 7 8 9 10; do caisson start -a again; done
	remove_all
	assert_nothing_left
}
