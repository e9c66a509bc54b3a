# Helpers of the tests of networks: a host beyond the host, and who reaches whom.

# A network namespace "outside", the host's default route: 192.0.2.2 and 2001:db8::2, the host being .1 and ::1.
outside_up() {
	unshare --net sleep 100000 &
	OUTSIDE=$!
	export OUTSIDE
	eventually 5 other_netns "$OUTSIDE"
	ip link add out0 type veth peer name in0 netns "/proc/$OUTSIDE/ns/net"
	ip address add 192.0.2.1/24 dev out0
	ip address add 2001:db8::1/64 dev out0 nodad
	ip link set out0 up
	outside ip link set lo up
	outside ip address add 192.0.2.2/24 dev in0
	outside ip address add 2001:db8::2/64 dev in0 nodad
	outside ip link set in0 up
	ip route add default via 192.0.2.2
	ip -6 route add default via 2001:db8::2
}

other_netns() { [ "$(readlink "/proc/$1/ns/net")" != "$(readlink /proc/self/ns/net)" ]; }

outside_down() { kill "$OUTSIDE" 2> /dev/null || true; }

outside() { nsenter --net="/proc/$OUTSIDE/ns/net" "$@"; }

# A server out there, in the background; $! is its own process.
outside_server() { nsenter --net="/proc/$OUTSIDE/ns/net" "$@" > /dev/null 2>&1 3>&- & }

# reach ADDRESS PORT: a TCP connection can be opened, from where this shell is. As a program, for `outside reach`.
cat > "$E2E_DIR/reach" <<'P'
#!/usr/bin/env python3
import socket, sys
socket.create_connection((sys.argv[1], int(sys.argv[2])), 1).close()
P
chmod +x "$E2E_DIR/reach"
reach() { "$E2E_DIR/reach" "$@" 2> /dev/null; }

# from CONTAINER ADDRESS PORT: the same from inside a container; where much is tried that should not work, it is given up sooner
from() { caisson exec "$1" timeout "${FROM_SECONDS:-4}" nc "$2" "$3" < /dev/null > /dev/null 2>&1; }

pings() { caisson exec "$1" ping -c 1 -W "${FROM_SECONDS:-4}" "$2" > /dev/null 2>&1; }

no() { # no COMMAND...: fails
	if "$@"; then
		fail "this should not work: $*"
	fi
}

address() { field "$1" "(index .NetworkSettings.Networks \"${2:-bridge}\").IPAddress"; }
address6() { field "$1" "(index .NetworkSettings.Networks \"${2:-bridge}\").GlobalIPv6Address"; }
gateway() { field "$1" "(index .NetworkSettings.Networks \"${2:-bridge}\").Gateway"; }

# server NAME [OPTIONS...]: a container that serves its own name by HTTP on ports 80 and 135
server() {
	local name=$1
	shift
	caisson run -d --name "$name" "$@" "$IMAGE" sh -c "mkdir /www; echo $name > /www/index.html; httpd -p 135 -h /www; exec httpd -f -p 80 -h /www" > /dev/null
	eventually 10 caisson exec "$name" wget -qO /dev/null http://127.0.0.1/
}

says() { wget -T 3 -t 1 -qO- "http://$1/"; }                  # says ADDRESS[:PORT], asked from the host
hears() { caisson exec "$1" timeout 15 wget -qO- "http://$2/"; } # hears CONTAINER ADDRESS[:PORT]

rules() { nft -j list ruleset | grep -o '"rule": {' | wc -l; }

bridge_filter() { # bridge_filter 0|1: whether frames on bridges pass the IP hooks too
	[ -e /proc/sys/net/bridge/bridge-nf-call-iptables ] || skip "the kernel has no br_netfilter"
	echo "$1" > /proc/sys/net/bridge/bridge-nf-call-iptables
	echo "$1" > /proc/sys/net/bridge/bridge-nf-call-ip6tables
}
