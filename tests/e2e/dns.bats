# caisson-dns, as the engine runs it, for one bridge in a network namespace of its own. The mode plays no part.
load lib

setup_file() {
	export TOOL=$BATS_TEST_DIRNAME/dns.py DNS
	DNS=$(dirname "$CAISSON")/caisson-dns
}
teardown_file() { :; }

setup() {
	requires dnsmasq ip nsenter flock python3
	NS=caisson-dns-$$-$BATS_TEST_NUMBER DIR=$BATS_TEST_TMPDIR/net RESOLV=$BATS_TEST_TMPDIR/etc/resolv.conf LOG=$BATS_TEST_TMPDIR/log
	mkdir -m 700 "$DIR"
	mkdir -m 755 "$DIR/hosts" "$BATS_TEST_TMPDIR/etc"
	: > "$LOG"
	: > "$RESOLV"
	PIDS=()
	ip netns add "$NS"
	inside ip link set lo up
	bridge csn0 10.9.0.1/24 fd00:9::1/64
}

teardown() {
	[ ! -e "/run/netns/$NS-other" ] || ip netns del "$NS-other"
	[ ! -e "/run/netns/$NS" ] || {
		[ ${#PIDS[@]} = 0 ] || kill "${PIDS[@]}" 2> /dev/null || true
		eventually 5 nobody_inside || fail "still there: $(ip netns pids "$NS" | xargs -r ps -fp)"
		ip netns del "$NS"
	}
}

inside() { nsenter --net="/run/netns/$NS" "$@"; }
nobody_inside() { [ -z "$(ip netns pids "$NS")" ]; }

bridge() { # bridge NAME ADDRESS...
	local name=$1 address
	shift
	inside ip link add "$name" type bridge
	inside ip link set "$name" addrgenmode none
	for address; do
		case $address in
		*:*) inside ip addr add "$address" dev "$name" nodad ;;
		*) inside ip addr add "$address" dev "$name" ;;
		esac
	done
	inside ip link set "$name" up
}

# in the background, with nothing of bats
background() {
	nsenter --net="/run/netns/$NS" "$@" > /dev/null 2>&1 3>&- &
	PIDS+=($!)
}

resolver() { # resolver ADDRESS: a host's resolver there
	inside ip addr add "$1/32" dev lo
	background python3 "$TOOL" upstream "$1" "$LOG"
	printf 'nameserver %s\n' "$1" > "$RESOLV"
	inside_eventually answers "$1" 'NOERROR 192.0.2.7' ready.example.com
	: > "$LOG"
}

OPTIONS=(--name test --interface csn0 --listen 10.9.0.1/24 --listen fd00:9::1/64)
serve() { # serve [OPTIONS...]
	background "$DNS" "${OPTIONS[@]}" --dir "$DIR" --resolv "$RESOLV" "$@"
	SERVER=$!
}

host() { # host ID LINES...: as the engine does it
	local id=$1
	shift
	printf '%s\n' "$@" > "$DIR/new"
	mv "$DIR/new" "$DIR/hosts/$id"
}

query() { inside python3 "$TOOL" query "$@"; }
answers() { # answers SERVER ANSWER NAME [TYPE] [tcp]
	local server=$1 answer=$2
	shift 2
	[ "$(query "$server" "$@" 2> /dev/null)" = "$answer" ]
}
inside_eventually() { eventually 5 "$@" || fail "seen: $(query "$2" "${@:4}" 2>&1)" "dns.error: $(cat "$DIR/dns.error" 2>&1)"; }
soon() { inside_eventually answers 10.9.0.1 "$@"; } # soon ANSWER NAME...
now() { # now ANSWER NAME...
	local answer=$1
	shift
	is "$(query 10.9.0.1 "$@" 2>&1)" "$answer"
}

dnsmasq_pid() { sed -n '2s/ .*//p' "$DIR/dns.pid"; }
another_dnsmasq() { [ -n "$(dnsmasq_pid)" ] && [ "$(dnsmasq_pid)" != "$1" ]; }
error_has() { grep -q "$1" "$DIR/dns.error"; }
lock_is_free() { flock -n "$DIR/dns.lock" true; }

@test "a container is found by name, alias and short id, by UDP, TCP, IPv4 and IPv6, and by its address" {
	host c1 '10.9.0.2 web www 0123456789ab' 'fd00:9::2 web www 0123456789ab'
	serve
	local name
	soon 'NOERROR 10.9.0.2' web
	for name in WEB www 0123456789ab; do now 'NOERROR 10.9.0.2' $name; done
	now 'NOERROR 10.9.0.2' web A tcp
	now 'NOERROR fd00:9::2' web AAAA
	is "$(query fd00:9::1 web AAAA)" 'NOERROR fd00:9::2'
	now 'NOERROR web' 10.9.0.2
	now 'NOERROR web' fd00:9::2
	now NXDOMAIN nobody
}

@test "containers that come, change, share an alias and go are followed" {
	serve
	soon NXDOMAIN web
	host c1 '10.9.0.2 web app.test'
	soon 'NOERROR 10.9.0.2' web
	now NOERROR web AAAA
	host c1 '10.9.0.3 web app.test'
	soon 'NOERROR 10.9.0.3' web
	now NXDOMAIN 10.9.0.2
	host c2 '10.9.0.4 db app.test'
	soon 'NOERROR 10.9.0.3 10.9.0.4' app.test
	host c1 '10.9.0.3 renamed app.test'
	soon 'NOERROR 10.9.0.3' renamed
	now NXDOMAIN web
	rm "$DIR/hosts/c1"
	soon 'NOERROR 10.9.0.4' app.test
	now NXDOMAIN renamed
	now 'NOERROR 10.9.0.4' db
}

@test "other names go to the host's resolvers; plain names and the network's addresses do not" {
	resolver 192.0.2.53
	host c1 '10.9.0.2 web'
	serve
	soon 'NOERROR 10.9.0.2' web
	now 'NOERROR 192.0.2.7' www.example.com
	local kind
	for kind in AAAA MX TXT HTTPS; do
		now NXDOMAIN nobody $kind
		now NOERROR web $kind
	done
	now NXDOMAIN 10.9.0.77
	now NXDOMAIN fd00:9::77
	now NXDOMAIN 10.8.0.1
	# and the question that finds loops
	is "$(grep -vx '[0-9a-f]*\.test 16' "$LOG")" $'www.example.com 1\n1.0.8.10.in-addr.arpa 12'
}

@test "a name that was unknown a moment ago is found" {
	resolver 192.0.2.53
	host c1 '10.9.0.2 web'
	serve
	soon NXDOMAIN late.test
	now NXDOMAIN late.test AAAA
	host c2 '10.9.0.3 late.test'
	soon 'NOERROR 10.9.0.3' late.test
	now NOERROR late.test AAAA
}

@test "a resolv.conf that is replaced, comes late or leads elsewhere is followed" {
	rm "$RESOLV"
	host c1 '10.9.0.2 web'
	serve
	soon 'NOERROR 10.9.0.2' web
	now REFUSED www.example.com
	resolver 192.0.2.53
	soon 'NOERROR 192.0.2.7' www.example.com
	: > "$RESOLV.new"
	mv "$RESOLV.new" "$RESOLV"
	soon REFUSED mail.example.com
	# a link into another directory: looked at when a container comes
	mkdir "$BATS_TEST_TMPDIR/elsewhere"
	ln -sf "$BATS_TEST_TMPDIR/elsewhere/resolv.conf" "$RESOLV"
	host c2 '10.9.0.3 db'
	soon 'NOERROR 10.9.0.3' db
	echo 'nameserver 192.0.2.53' > "$BATS_TEST_TMPDIR/elsewhere/resolv.conf"
	host c3 '10.9.0.4 cache'
	soon 'NOERROR 192.0.2.7' mail.example.com
}

@test "--internal: no name is forwarded, an unknown one does not exist" {
	resolver 192.0.2.53
	host c1 '10.9.0.2 web'
	serve --internal
	soon 'NOERROR 10.9.0.2' web
	now NOERROR web AAAA
	now 'NOERROR web' 10.9.0.2
	local name
	for name in www.example.com nobody 10.8.0.1 fd00:9::77; do now NXDOMAIN $name; done
	now NXDOMAIN www.example.com AAAA
	is "$(cat "$LOG")" ''
}

@test "another network's containers get no answer, the host does" {
	bridge csn1 10.10.0.1/24
	ip netns add "$NS-other"
	inside ip link add other type veth peer name eth0 netns "$NS-other"
	inside ip link set other master csn1 up
	ip -n "$NS-other" addr add 10.10.0.2/24 dev eth0
	ip -n "$NS-other" link set eth0 up
	ip -n "$NS-other" route add default via 10.10.0.1
	host c1 '10.9.0.2 web'
	serve
	soon 'NOERROR 10.9.0.2' web
	run ip netns exec "$NS-other" python3 "$TOOL" query 10.9.0.1 web
	local udp=$output
	run ip netns exec "$NS-other" python3 "$TOOL" query 10.9.0.1 web A tcp
	is "$udp" '10.9.0.1: timed out'
	is "$output" '10.9.0.1: no answer' # after it was connected
}

@test "a resolver that asks back is not used, one that is ourselves neither" {
	inside ip addr add 192.0.2.53/32 dev lo
	background python3 "$TOOL" mirror 192.0.2.53 10.9.0.1 "$LOG"
	printf 'nameserver 192.0.2.53\nnameserver 10.9.0.1\n' > "$RESOLV"
	eventually 5 inside python3 -c 'import socket; s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
try: s.bind(("192.0.2.53", 53))
except OSError: pass
else: raise SystemExit(1)'
	host c1 '10.9.0.2 web'
	serve
	soon 'NOERROR 10.9.0.2' web
	soon REFUSED www.example.com
	now REFUSED mail.example.com
	[ "$(wc -l < "$LOG")" -le 2 ] || fail "$(wc -l < "$LOG") queries went round"
}

@test "dnsmasq ends: another serves; it keeps ending: later and later" {
	host c1 '10.9.0.2 web'
	serve
	soon 'NOERROR 10.9.0.2' web
	local pid n
	for n in 1 2 3; do
		pid=$(dnsmasq_pid)
		kill -9 "$pid"
		eventually 5 another_dnsmasq "$pid"
	done
	soon 'NOERROR 10.9.0.2' web
	eventually 5 eval '[ ! -e "$DIR/dns.error" ]'
	# the fourth waits for 200 ms
	pid=$(dnsmasq_pid)
	kill -9 "$pid"
	sleep 0.1
	is "$(cat "$DIR/dns.error")" 'dnsmasq was ended by signal 9'
	is "$(dnsmasq_pid)" ''
	eventually 5 another_dnsmasq "$pid"
}

@test "caisson-dns is killed: dnsmasq and what it forked are gone, the next one serves" {
	host c1 '10.9.0.2 web'
	serve
	soon 'NOERROR 10.9.0.2' web
	# a connection on which nothing is asked has a process of its own
	background python3 -c 'import socket, signal; s = socket.create_connection(("10.9.0.1", 53)); signal.pause()'
	local client=$! all
	eventually 5 eval 'all=$(ip netns pids "$NS"); [ "$(wc -w <<< "$all")" = 4 ]'
	kill -9 "$SERVER"
	eventually 5 eval '[ "$(ip netns pids "$NS")" = "$client" ]'
	serve
	soon 'NOERROR 10.9.0.2' web
}

@test "a second one ends at once with 0" {
	host c1 '10.9.0.2 web'
	serve
	soon 'NOERROR 10.9.0.2' web
	run -0 inside "$DNS" "${OPTIONS[@]}" --dir "$DIR"
	is "$output" ''
	now 'NOERROR 10.9.0.2' web
}

@test "it ends some time after the last container, not before" {
	host c1 '10.9.0.2 web'
	serve --linger 1
	soon 'NOERROR 10.9.0.2' web
	rm "$DIR/hosts/c1"
	sleep 0.5
	host c2 '10.9.0.3 db'
	sleep 1
	now 'NOERROR 10.9.0.3' db
	rm "$DIR/hosts/c2"
	ends_with 0 "$SERVER"
	eventually 5 nobody_inside
	is "$(ls "$DIR")" $'dns.lock\nhosts'
	lock_is_free
}

@test "a container that comes while it ends is served" {
	local n
	PIDS_FILE=$BATS_TEST_TMPDIR/pids
	for n in $(seq 2 40); do
		rm -f "$DIR/hosts/c1"
		sleep "0.0$((RANDOM % 30))"
		host c1 "10.9.0.$n web"
		(
			exec 3<> "$DIR/dns.lock"
			flock -n 3 || exit 0
			exec nsenter --net="/run/netns/$NS" "$DNS" "${OPTIONS[@]}" --dir "$DIR" --resolv "$RESOLV" --linger 0 --locked
		) > /dev/null 2>&1 &
		PIDS+=($!)
		soon "NOERROR 10.9.0.$n" web
	done
	rm "$DIR/hosts/c1"
	eventually 5 lock_is_free
}

@test "SIGTERM is a clean end" {
	host c1 '10.9.0.2 web'
	serve
	soon 'NOERROR 10.9.0.2' web
	kill "$SERVER"
	ends_with 0 "$SERVER"
	eventually 5 nobody_inside
	is "$(ls "$DIR")" $'dns.lock\nhosts'
}

@test "the port is taken: dns.error says so until it is free" {
	background python3 "$TOOL" hold 0.0.0.0
	local holder=$!
	eventually 5 eval '[ -n "$(inside ss -Hltn "sport = :53")" ]'
	host c1 '10.9.0.2 web'
	serve
	eventually 5 error_has 'Address already in use'
	is "$(wc -l < "$DIR/dns.error")" 1
	kill "$holder"
	soon 'NOERROR 10.9.0.2' web
	eventually 5 eval '[ ! -e "$DIR/dns.error" ]'
}

@test "an address that comes later is served then" {
	inside ip addr flush dev csn0
	host c1 '10.9.0.2 web'
	serve
	eventually 5 dnsmasq_pid
	sleep 0.3
	inside ip addr add 10.9.0.1/24 dev csn0
	soon 'NOERROR 10.9.0.2' web
}

@test "the bridge goes: it ends; there is none: it says so" {
	host c1 '10.9.0.2 web'
	serve
	soon 'NOERROR 10.9.0.2' web
	bridge csn1 10.10.0.1/24
	inside ip link del csn1
	now 'NOERROR 10.9.0.2' web
	inside ip link del csn0
	ends_with 0 "$SERVER"
	eventually 5 nobody_inside
	run -1 inside "$DNS" "${OPTIONS[@]}" --dir "$DIR"
	is "$output" 'caisson-dns: interface csn0: No such device'
	is "$(cat "$DIR/dns.error")" 'interface csn0: No such device'
}

@test "the bridge is made anew before it has seen it go: the new one is served" {
	host c1 '10.9.0.2 web'
	serve
	soon 'NOERROR 10.9.0.2' web
	kill -STOP "$SERVER"
	inside ip -batch - <<< $'link del csn0\nlink add csn0 type bridge\naddr add 10.9.0.1/24 dev csn0\nlink set csn0 up'
	run -0 inside "$DNS" "${OPTIONS[@]}" --dir "$DIR"
	kill -CONT "$SERVER"
	host c1 '10.9.0.3 web'
	soon 'NOERROR 10.9.0.3' web
	is "$(sed -n '1s/ .*//p' "$DIR/dns.pid")" "$SERVER"
}

@test "without dnsmasq it says so and ends" {
	local hidden
	hidden=$(command -v dnsmasq)
	run -1 inside unshare -m --propagation private sh -c "mount --bind /dev/null '$hidden' && PATH=/nowhere exec '$DNS' ${OPTIONS[*]} --dir '$DIR'"
	is "$(cat "$DIR/dns.error")" 'dnsmasq: not found in PATH'
}

@test "dnsmasq has one capability, nobody's rights, and a world of its own" {
	host c1 '10.9.0.2 web'
	serve
	soon 'NOERROR 10.9.0.2' web
	local pid status
	pid=$(dnsmasq_pid)
	status=$(cat "/proc/$pid/status")
	hasnt "$status" $'Uid:\t0'
	matches "$status" 'NoNewPrivs:.1'
	local set
	for set in Inh Prm Eff Bnd Amb; do matches "$status" "Cap$set:.0000000000000400"; done
	matches "$status" $'Groups:[ \t]*\n'
	matches "$status" $'NSpid:.*\t1\n'
	is "$(sed 's/,.*//' <(awk '{ print $6 }' "/proc/$pid/mountinfo") | sort -u)" ro
	is "$(ls "/proc/$pid/root" | grep -vxE 'dev|hosts|usr|lib|lib64|tmp|var|run' || true)" ''
	is "$(ls "/proc/$pid/root/dev")" $'null\nurandom'
	is "$(ls "/proc/$pid/root/hosts")" c1
	is "$(find "/proc/$pid/fd" -lname "$BATS_TEST_TMPDIR*")" ''
	is "$(tr '\0' '\n' < "/proc/$pid/environ")" ''
}

@test "nothing wakes up while nothing happens" {
	host c1 '10.9.0.2 web'
	serve
	soon 'NOERROR 10.9.0.2' web
	switches() { grep -h ctxt_switches "/proc/$SERVER/status" "/proc/$(dnsmasq_pid)/status"; }
	sleep 0.2
	local before
	before=$(switches)
	sleep 2
	is "$(switches)" "$before"
}
