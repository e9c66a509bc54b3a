# caisson audit: what is measured of a container in each mode, and that a statement which is broken on purpose is noticed.
load lib

row() { # row CONTAINER KEY FIELD
	caisson audit --format json "$1" | python3 -c '
import json, sys
key, field = sys.argv[1:]
[row] = [s for s in json.load(sys.stdin)[0]["Statements"] if s["Key"] == key]
v = row[field]
print("\n".join(v) if isinstance(v, list) else v)' "$2" "$3"
}
result() { row "$1" "$2" Result; }
evidence() { row "$1" "$2" Evidence; }

result_is() { # result_is CONTAINER KEY RESULT
	local seen
	seen=$(result "$1" "$2")
	[ "$seen" = "$3" ] || fail "$2: expected $3, seen $seen" "$(row "$1" "$2" Value)" "$(row "$1" "$2" Why)" "$(evidence "$1" "$2")"
}

per_mode() { [ "$MODE" = process ] && echo "$1" || echo "$2"; }

alone() { box --network=none; }

# A process that lives as long as the test, its pid in $keep.
keep() {
	"$@" > /dev/null 2>&1 < /dev/null 3>&- &
	keep=$!
}

teardown() {
	[ -z "${keep:-}" ] || kill "$keep" 2> /dev/null || true
	[ -z "${mounted:-}" ] || umount "$mounted"
	[ -z "${loop:-}" ] || losetup -d "$loop"
}

@test "the kernel, the processes and sessions, the mounts and files are on the host or not" {
	alone
	local key
	for key in own-kernel no-host-processes no-host-sessions no-host-mounts no-host-files confined-vmm; do
		result_is box $key "$(per_mode fails holds)"
	done
	run -0 --separate-stderr row box no-host-processes Value
	is "$output" "$(per_mode '1 found, of 1 inside' '0 found, of 1 inside')"
	# emulated here, or the host's kernel: neither is a boundary of the processor's
	result_is box hardware-boundary fails
	result_is box no-inbound-rules holds
	result_is box closed-network holds
	result_is box no-spoofing holds
	result_is box no-host-paths holds
	result_is box no-host-devices holds
}

@test "a process of the container's that was moved out of its cgroup is still found" {
	skip_in hyperv 'it has none on the host'
	alone
	caisson exec -d box sleep 86433 || caisson exec box sh -c 'sleep 86433 > /dev/null 2>&1 &'
	local pid c
	pid=$(grep -lzsx 86433 /proc/[0-9]*/cmdline | cut -d / -f 3 | while read -r p; do [ "$(cat /proc/$p/comm)" != sleep ] || echo $p; done)
	[ -n "$pid" ]
	for c in /sys/fs/cgroup /sys/fs/cgroup/*; do
		[ ! -e $c/cgroup.procs ] || echo "$pid" > $c/cgroup.procs
	done
	! grep -q "$(id_of box)" /proc/$pid/cgroup
	result_is box no-host-processes fails
	run -0 --separate-stderr evidence box no-host-processes
	has "$output" "pid $pid (sleep): found by its namespaces"
	kill -9 "$pid"
}

@test "a process like one inside is noticed on the host of a virtual machine" {
	skip_in process 'they are on the host'
	alone
	result_is box no-host-processes holds
	# the same command line and environment
	local environment=()
	while IFS= read -r -d '' variable; do environment+=("$variable"); done < <(caisson exec box cat /proc/1/environ)
	keep env -i "${environment[@]}" sleep 100000
	eventually 5 grep -qzx 100000 "/proc/$keep/cmdline"
	result_is box no-host-processes fails
	run -0 --separate-stderr evidence box no-host-processes
	has "$output" "pid $keep (sleep): found by its command line and environment"
}

@test "a process that joins the virtual machine's namespaces is noticed" {
	skip_in process 'there is no virtual machine'
	alone
	keep nsenter --net --target "$(field box .State.Pid)" sleep 1000
	eventually 5 grep -qx sleep "/proc/$keep/comm"
	result_is box no-host-processes fails
}

@test "a bind mount of the container's directory is noticed, in whatever mount namespace it is" {
	alone
	local directory place
	directory=$(dirname "$(field box .LogPath)")
	place=$BATS_TEST_TMPDIR/place
	mkdir "$place"
	keep unshare -m sh -c "mount --bind '$directory' '$place' && exec sleep 1000"
	eventually 5 grep -q "$place" "/proc/$keep/mountinfo"
	result_is box no-host-mounts fails
	run -0 --separate-stderr evidence box no-host-mounts
	has "$output" "of pid $keep (sleep), not the container's"
	has "$output" "on $place type"
	result_is box no-host-files fails
}

@test "so it is in a mount namespace without a process" {
	alone
	local directory
	directory=$(dirname "$(field box .LogPath)")
	mkdir "$BATS_TEST_TMPDIR/place" "$BATS_TEST_TMPDIR/private"
	touch "$BATS_TEST_TMPDIR/private/ns"
	mounted=$BATS_TEST_TMPDIR/private
	mount --bind --make-private "$mounted" "$mounted"
	unshare "--mount=$mounted/ns" mount --bind "$directory" "$BATS_TEST_TMPDIR/place"
	run -0 --separate-stderr evidence box no-host-mounts
	umount "$mounted/ns"
	has "$output" "at $mounted/ns, not the container's"
}

@test "a loop device over the container's disk is noticed" {
	skip_in process 'it has no disk'
	alone
	result_is box no-host-files holds
	loop=$(losetup --read-only --show -f "$(dirname "$(field box .LogPath)")/disk.ext4") || skip 'there are no loop devices'
	result_is box no-host-files fails
	run -0 --separate-stderr evidence box no-host-files
	has "$output" "$loop: a block device over"
}

@test "host paths are named, and verified" {
	mkdir "$BATS_TEST_TMPDIR/data"
	caisson run -d --network=none --name shared -v "$BATS_TEST_TMPDIR/data:/data:ro" "$IMAGE" sleep 1000 > /dev/null
	result_is shared no-host-paths fails
	run -0 --separate-stderr evidence shared no-host-paths
	has "$output" "$BATS_TEST_TMPDIR/data at /data, read-only"
	has "$output" ', the same file'
	caisson rm -f shared
}

@test "devices are named" {
	skip_in hyperv 'it takes none'
	caisson run -d --network=none --name device --device /dev/fuse "$IMAGE" sleep 1000 > /dev/null
	result_is device no-host-devices fails
	run -0 --separate-stderr evidence device no-host-devices
	has "$output" '/dev/fuse inside'
	caisson rm -f device
	caisson run -d --network=none --name device --privileged "$IMAGE" sleep 1000 > /dev/null
	result_is device no-host-devices fails
	caisson rm -f device
}

@test "memory that two containers have mapped is noticed on the host's kernel" {
	alone
	caisson run -d --network=none --name twin "$IMAGE" sleep 1000 > /dev/null
	result_is box no-shared-memory "$(per_mode fails holds)"
	caisson rm -f twin
}

@test "--require: exits with 1 where one does not hold, and names it" {
	alone
	run -0 --separate-stderr caisson audit --require no-inbound-rules,no-host-paths box
	is "$stderr" ''
	if [ "$MODE" = process ]; then
		run -1 --separate-stderr caisson audit --require own-kernel,no-host-paths --require=no-host-mounts box
		has "$stderr" 'caisson: box: own-kernel does not hold: '
		has "$stderr" 'caisson: box: no-host-mounts does not hold: '
		hasnt "$stderr" no-host-paths
	else
		run -0 --separate-stderr caisson audit --require own-kernel,no-host-processes,no-host-sessions,no-host-mounts,no-host-files,confined-vmm box
		is "$stderr" ''
		run -1 --separate-stderr caisson audit --require hardware-boundary box
		has "$stderr" 'caisson: box: hardware-boundary does not hold: the guest is emulated'
	fi
}

@test "--require: one that is not known does not hold" {
	alone
	local monitor
	monitor=$(monitor_of box)
	kill -STOP "$monitor"
	run -1 --separate-stderr caisson audit --require own-kernel box
	kill -CONT "$monitor"
	has "$stderr" "box: own-kernel is not known: the container's kernel did not answer"
}

@test "--require: an unknown key is an error before anything is measured" {
	run --separate-stderr caisson audit --require own-kernel,nonsense box
	is "$status" 125
	has "$stderr" "there is no statement 'nonsense'"
	is "$output" ''
	run --separate-stderr caisson audit --format xml box
	is "$status" 125
}

@test "names what is not running, and goes on" {
	alone
	run -1 --separate-stderr caisson audit nobody box
	has "$stderr" 'No such container: nobody'
	has "$output" 'box ('
	caisson create --name idle "$IMAGE" true > /dev/null
	run -1 --separate-stderr caisson audit idle
	has "$stderr" 'is not running'
	caisson rm idle
}

@test "without a name all that run; the formats" {
	alone
	caisson run -d --network=none --name second "$IMAGE" sleep 1000 > /dev/null
	run -0 --separate-stderr caisson audit
	has "$output" 'box ('
	has "$output" 'second ('
	[ "$(printf '%s\n' "$output" | awk '{ if (length($0) > n) n = length($0) } END { print n }')" -le 102 ] # two for the ellipsis, in bytes
	run -0 --separate-stderr caisson audit --no-trunc box
	has "$output" '- looked at the mounts of'
	caisson audit --format json | python3 -c '
import json, sys
audits = json.load(sys.stdin)
assert [a["Name"] for a in audits] == ["second", "box"], audits
for a in audits:
    assert len(a["Container"]) == 64 and a["Isolation"] == sys.argv[1]
    for s in a["Statements"]:
        assert set(s) == {"Key", "Title", "Result", "Value", "Evidence", "Why"}, s
        assert s["Result"] in ("holds", "fails", "unknown", "info"), s
        assert s["Result"] in ("holds", "info") or s["Why"], s' "$MODE"
	caisson audit --format html > "$BATS_TEST_TMPDIR/page.html"
	run ! grep -qiE '<script|https?://|src=|url\(' "$BATS_TEST_TMPDIR/page.html"
	python3 -c '
import html.parser, sys
class Page(html.parser.HTMLParser):
    open = []
    def handle_starttag(self, tag, attributes):
        if tag != "meta":
            self.open.append(tag)
    def handle_endtag(self, tag):
        assert self.open.pop() == tag, tag
page = Page()
page.feed(sys.stdin.read())
assert not page.open' < "$BATS_TEST_TMPDIR/page.html"
	caisson rm -f second
}

@test "a hostile name of a process does no harm" {
	caisson run -d --network=none --name hostile "$IMAGE" sh -c 'printf "\033[31m<script>" > /proc/self/comm; while :; do sleep 1000; done' > /dev/null
	run -0 --separate-stderr caisson audit --no-trunc hostile
	hasnt "$output" $'\033'
	run -0 --separate-stderr caisson audit --format html hostile
	hasnt "$output" '<script'
	caisson rm -f hostile
}

# ---- the network ----

@test "a port that is listened on is found by connecting, from the host and from a neighbour" {
	caisson run -d --name server "$IMAGE" nc -ll -p 135 -e cat > /dev/null
	eventually 20 eval "row server closed-network Evidence | grep -q 'tcp 135 from the host: .* connected'"
	result_is server closed-network fails
	run -0 --separate-stderr evidence server closed-network
	matches "$output" 'tcp 135 from a neighbour: [0-9.]+ connected'
	run -0 --separate-stderr row server ping Value
	matches "$output" 'host: ([0-9]) of \1 answered; neighbours: ([0-9]) of \2'
	result_is server no-spoofing holds
	result_is server no-inbound-rules holds
	run -1 --separate-stderr caisson audit --require closed-network server
	has "$stderr" 'closed-network does not hold: ports that are not published can be reached'
	caisson rm -f server
}

@test "--network-policy=closed holds, also for UDP, until a port is published" {
	caisson pull -q "$IMAGES/debian" > /dev/null
	caisson run -d --name server --network-policy=closed "$IMAGES/debian" python3 -c '
import socket
tcp = socket.create_server(("", 135))
udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
udp.bind(("", 53))
while True:
    tcp.accept()' > /dev/null
	eventually 20 eval "row server closed-network Value | grep -q '^2 listening'"
	result_is server closed-network holds
	run -0 --separate-stderr evidence server closed-network
	matches "$output" 'tcp 135 from the host: [0-9.]+ no way there'
	matches "$output" 'tcp 135 from a neighbour: [0-9.]+ no answer'
	hasnt "$output" arrives
	result_is server no-inbound-rules holds
	caisson rm -f server
	caisson run -d --name server --network-policy=closed -p 8135:135 "$IMAGE" nc -ll -p 135 -e cat > /dev/null
	eventually 20 eval "row server closed-network Evidence | grep -q '(published)'"
	result_is server closed-network holds
	result_is server no-inbound-rules fails
	run -0 --separate-stderr evidence server no-inbound-rules
	has "$output" 'inet publish4: tcp . 8135'
	has "$output" "(caisson-monitor) listens on tcp port 8135 of the host's"
	caisson rm -f server
}

@test "rules that were changed or are gone are noticed" {
	caisson run -d --name server "$IMAGE" sleep 1000 > /dev/null
	local port
	result_is server no-spoofing holds
	port=$(nft list set bridge caisson macs | grep -o 'csp[0-9a-f]*' | head -n 1)
	nft add element bridge caisson macs "{ \"$port\" . 02:00:00:00:00:99 }"
	result_is server no-spoofing fails
	run -0 --separate-stderr row server no-spoofing Why
	has "$output" "port $port may also send as $port . 02:00:00:00:00:99"
	nft delete element bridge caisson macs "{ \"$port\" . 02:00:00:00:00:99 }"
	nft insert rule bridge caisson container accept
	result_is server no-spoofing fails
	caisson network reload
	result_is server no-spoofing holds
	# a port opened by hand
	nft add element inet caisson publish4 "{ tcp . 9999 : $(caisson inspect --format '{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}' server) . 80 }"
	result_is server no-inbound-rules fails
	nft delete table bridge caisson
	result_is server no-spoofing fails
	caisson network reload
	caisson rm -f server
}

@test "on two networks each is tried, and its name server is none of its own" {
	caisson network create one > /dev/null
	caisson network create other > /dev/null
	caisson run -d --name both --network one --network other "$IMAGE" nc -ll -p 135 -e cat > /dev/null
	eventually 20 eval "row both closed-network Evidence | grep -q connected"
	run -0 --separate-stderr evidence both closed-network
	matches "$output" 'tcp 135 from the host: [0-9.]+ connected, .*[0-9.]+ connected'
	matches "$output" 'tcp 135 from a neighbour: [0-9.]+ connected, .*[0-9.]+ connected'
	result_is both no-host-processes "$(per_mode fails holds)"
	run -0 --separate-stderr evidence both no-host-mounts
	hasnt "$output" "not the container's"
	result_is both no-spoofing holds
	caisson network disconnect other both
	result_is both no-spoofing holds
	caisson rm -f both
	caisson network rm one other
}

@test "the neighbour leaves nothing behind" {
	caisson run -d --name server "$IMAGE" sleep 1000 > /dev/null
	caisson audit server > /dev/null
	is "$(ls "$CAISSON_RUN/containers" | grep -c probe || true)" 0
	eventually 5 eval '[ "$(ip -br link | grep -c "^csp")" = 1 ]'
	caisson rm -f server
}

@test "on the host's network it is open, and no neighbour is asked" {
	skip_in hyperv 'it has its own network'
	caisson run -d --name open --network=host "$IMAGE" sleep 1000 > /dev/null
	result_is open closed-network fails
	result_is open no-spoofing fails
	caisson rm -f open
}

# ---- side by side ----

@test "--compare runs an image in both modes, prints both, and leaves nothing" {
	skip_in process 'done once, in hyperv'
	run -0 --separate-stderr caisson audit --compare "$IMAGE"
	matches "${lines[0]}" 'process +hyperv'
	matches "$output" 'own-kernel +fails: .* +holds: '
	matches "$output" 'no-host-processes +fails: 1 found, of 1 inside +holds: 0 found, of 1 inside'
	[ "$(printf '%s\n' "$output" | awk '{ if (length($0) > n) n = length($0) } END { print n }')" -le 100 ]
	run -0 --separate-stderr caisson ps -a --filter name=audit- -q
	is "$output" ''
	caisson audit --compare --format json "$IMAGE" sh -c 'sleep 1000' | python3 -c '
import json, sys
assert [a["Isolation"] for a in json.load(sys.stdin)] == ["process", "hyperv"]'
}

@test "--compare says so when the command ends at once" {
	skip_in process 'done once, in hyperv'
	run -1 --separate-stderr caisson audit --compare "$IMAGE" false
	has "$stderr" 'ended at once in process mode, with exit status 1: give one that stays'
	run -1 --separate-stderr caisson audit --compare "$IMAGES/nothing"
	[ -n "$stderr" ]
	run -0 --separate-stderr caisson ps -a --filter name=audit- -q
	is "$output" ''
}

@test "--compare removes its containers when it is interrupted" {
	skip_in process 'done once, in hyperv'
	"$CAISSON" audit --compare "$IMAGE" > /dev/null 2>&1 3>&- &
	local pid=$!
	eventually 20 eval 'caisson ps -a --filter name=audit- -q | grep -q .'
	kill -INT "$pid" 2> /dev/null || true
	kill -TERM "$pid"
	ends_with 143 "$pid"
	run -0 --separate-stderr caisson ps -a --filter name=audit- -q
	is "$output" ''
}

@test "nothing is left behind" {
	remove_all
	assert_nothing_left
}
