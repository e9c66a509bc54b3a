# Beside docker, whose packet filter drops what it does not know: dockerd runs in this file's network namespace.
load lib

setup_file() {
	e2e_setup_file
	load net
	load dockerd
	outside_up
	dockerd_up
	[ -z "${NO_DOCKER:-}" ] || return 0
	tar -C "$(dirname "$(command -v busybox)")" -cf - busybox | /usr/bin/docker import - peer/busybox > /dev/null
}

setup() {
	load net
	load dockerd
	[ -z "${NO_DOCKER:-}" ] || skip "$NO_DOCKER"
}

teardown_file() {
	load net
	load dockerd
	stop_dockerd || true
	outside_down
	e2e_teardown_file
}

ours() { "$1" -S DOCKER-USER 2> /dev/null | grep -c -- '--comment caisson' || true; }

@test "with dockerd running first: out, in by a published port, port to port; br_netfilter on and off" {
	local n
	has "$(iptables-nft -S FORWARD)" '-P FORWARD DROP'
	server web -p 8080:80
	server friend --isolation=process
	for n in 0 1; do
		bridge_filter $n
		pings web 192.0.2.2
		is "$(outside wget -T 3 -t 1 -qO- http://192.0.2.1:8080/)" web
		is "$(hears friend web)" web
		is "$(hears web friend)" friend
		is "$(hears friend 192.0.2.1:8080)" web
		pings web "$(address6 friend)"
	done
	is "$(ours iptables-nft)" 6
}

@test "the number of rules does not depend on containers and networks" {
	caisson network create more > /dev/null
	caisson run --rm --isolation=process --network more "$IMAGE" true
	is "$(ours iptables-nft)" 6
	caisson network rm more > /dev/null
	is "$(ours iptables-nft)" 6
}

@test "docker's containers work on, and what docker closes stays closed to ours" {
	docker run -d --name inner peer/busybox /busybox httpd -f -p 80 > /dev/null
	local inner
	inner=$(docker inspect -f '{{.NetworkSettings.IPAddress}}' inner)
	eventually 5 reach "$inner" 80
	docker exec inner /busybox ping -c 1 -W 2 192.0.2.2 > /dev/null
	no from web "$inner" 80
	no docker exec inner /busybox timeout 3 /busybox nc "$(address web)" 80 < /dev/null
	docker rm -f inner > /dev/null
}

@test "flushed rules are put back by the next command that touches the network" {
	iptables-nft -F DOCKER-USER
	run caisson doctor
	has "$output" 'lacks the rules'
	caisson network ls > /dev/null
	is "$(ours iptables-nft)" 6
	pings web 192.0.2.2
	run caisson doctor
	has "$output" 'has the rules for containers of caisson'
}

@test "a dockerd that comes later: the next start puts the rules in" {
	stop_dockerd
	iptables-nft -F && iptables-nft -X && iptables-nft -P FORWARD ACCEPT
	caisson run --rm --isolation=process "$IMAGE" true
	is "$(ours iptables-nft)" 0
	start_dockerd
	caisson run --rm --isolation=process "$IMAGE" true
	is "$(ours iptables-nft)" 6
	pings web 192.0.2.2
}

@test "the rules go with the last network" {
	caisson rm -f web friend > /dev/null
	caisson network prune -f > /dev/null
	is "$(ours iptables-nft)" 0
	is "$(ip -br link | grep -c ^caisson || true)" 0
	is "$(nft list tables | grep -c caisson || true)" 0
	caisson run --rm --isolation=process "$IMAGE" true
	is "$(ours iptables-nft)" 6
}

blockers() { caisson doctor 2>&1 | grep 'other rules' || true; }

@test "doctor names what else may block: another table's policy, a firewall's last rule" {
	is "$(blockers | grep -v 'none that may block containers')" ''
	nft 'table inet other { chain guard { type filter hook forward priority 0; policy drop; }; }'
	nft 'table inet firewalld { chain filter_FORWARD { type filter hook forward priority 10; policy accept; ct state established accept; reject with icmpx admin-prohibited; }; }'
	has "$(blockers)" 'table inet other, chain guard (hook forward): policy drop blocks what containers send out, what comes to containers'
	has "$(blockers)" 'table inet firewalld, chain filter_FORWARD (hook forward): the rule with handle 3 in chain filter_FORWARD blocks what containers send out'
	has "$(blockers)" 'firewall-cmd'
	nft 'delete table inet other; delete table inet firewalld'
	has "$(blockers)" 'none that may block containers'
}

@test "doctor follows rules: a drop for our interfaces alone, and the accept that it advises" {
	nft 'table inet other { chain user { iifname "caisson*" oifname != "caisson*" drop; }; chain guard { type filter hook forward priority 0; jump user; }; }'
	has "$(blockers)" 'table inet other, chain guard (hook forward): the rule with handle 3 in chain user blocks what containers send out; '
	nft 'insert rule inet other user iifname "caisson*" accept'
	has "$(blockers)" 'none that may block containers'
	nft 'flush chain inet other user; add rule inet other user ip saddr 10.0.0.5 drop; add rule inet other user iifname vmap { "other0" : drop }'
	has "$(blockers)" 'none that may block containers'
	nft 'add rule inet other user oifname { "lo", "caisson0" } reject'
	has "$(blockers)" 'blocks what comes to containers'
	nft 'delete table inet other'
}

@test "doctor reads what iptables put in: docker's chains, the administrator's rules in them" {
	iptables-nft -I DOCKER-USER -i caisson+ -m conntrack --ctstate NEW -j DROP
	has "$(blockers)" 'table ip filter, chain FORWARD (hook forward): -A DOCKER-USER -i caisson+ -m conntrack --ctstate NEW -j DROP blocks what containers send out'
	iptables-nft -D DOCKER-USER -i caisson+ -m conntrack --ctstate NEW -j DROP
	has "$(blockers)" 'none that may block containers'
}

@test "doctor reads the tables of the legacy iptables, and does not load them" {
	[ -e /proc/net/ip_tables_names ] || skip 'the kernel has no legacy tables'
	local before
	before=$(cat /proc/net/ip_tables_names)
	has "$(blockers)" 'none that may block containers'
	is "$(cat /proc/net/ip_tables_names)" "$before"
	if ! iptables-legacy -S > /dev/null 2>&1; then
		skip 'iptables-legacy does not work here'
	fi
	iptables-legacy -P FORWARD DROP
	has "$(blockers)" 'iptables-legacy: table filter, chain FORWARD (hook forward): policy drop blocks what containers send out'
	iptables-legacy -A FORWARD -i caisson+ -j ACCEPT
	iptables-legacy -A FORWARD -o caisson+ -j ACCEPT
	has "$(blockers)" 'none that may block containers'
	iptables-legacy -P FORWARD ACCEPT
	iptables-legacy -I FORWARD -i caisson0 -j DROP
	has "$(blockers)" ': -A FORWARD -i caisson0 -j DROP blocks what containers send out'
	iptables-legacy -F
	has "$(blockers)" 'none that may block containers'
}
