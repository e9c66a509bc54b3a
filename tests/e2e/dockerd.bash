# A dockerd in the network namespace of the tests' file, for what is compared with docker or runs beside it.
# Its containers and bridges are in this namespace, its files in the file's folder.

# Sets NO_DOCKER to why there is none; else DOCKER_HOST leads to it.
dockerd_up() {
	local program
	for program in dockerd docker iptables-nft; do
		command -v "$program" > /dev/null || { export NO_DOCKER="$program is not installed"; return 0; }
	done
	# dockerd closes FORWARD where it is what turns forwarding on: a new namespace may have the machine's setting.
	echo 0 > /proc/sys/net/ipv4/ip_forward
	export DOCKER_HOST=unix://$E2E_DIR/docker.sock
	start_dockerd || { NO_DOCKER="dockerd does not start here: $(tail -n 1 "$E2E_DIR/dockerd.log")"; export NO_DOCKER; }
}

start_dockerd() {
	/usr/sbin/dockerd --data-root "$E2E_DIR/docker" --exec-root "$E2E_DIR/docker-run" --pidfile "$E2E_DIR/docker.pid" -H "$DOCKER_HOST" \
		--bip 172.30.0.1/24 > "$E2E_DIR/dockerd.log" 2>&1 3>&- &
	local n
	for n in $(seq 60); do
		! /usr/bin/docker info > /dev/null 2>&1 || return 0
		kill -0 $! 2> /dev/null || return 1
		sleep 0.5
	done
	return 1
}

stop_dockerd() {
	local pid
	pid=$(cat "$E2E_DIR/docker.pid" 2> /dev/null) || return 0
	kill "$pid" 2> /dev/null || return 0
	eventually 20 gone "$pid"
}

docker() { /usr/bin/docker "$@"; }
