# Starts and stops in a row leave the host as it was: E2E_STARTS of them (12), and what there is before and after is compared.
load lib

setup_file() {
	e2e_setup_file
	sed -i 's/^template-linger.*/template-linger = 600/' "$CAISSON_CONFIG"
	: "${E2E_STARTS:=12}"
	export E2E_STARTS
	mkdir "$E2E_DIR/share"
}

teardown_file() {
	end_holders
	e2e_teardown_file
}

end_holders() { ours | awk '$2 == "caisson-template" { print $1 }' | xargs -r kill; }

# The processes of this network namespace, which is this file's, or with a parent in it, but for the test's own: pid, name, command line.
ours() {
	local pid own parent
	own=$(readlink /proc/self/ns/net)
	for pid in $(cd /proc && echo [0-9]*); do
		parent=$(sed 's/.*) . \([0-9]*\) .*/\1/' "/proc/$pid/stat" 2> /dev/null) || continue
		[ "$(readlink "/proc/$pid/ns/net")" = "$own" ] || [ "$(readlink "/proc/$parent/ns/net")" = "$own" ] || continue
		case $(tr '\0' ' ' < "/proc/$pid/cmdline" 2> /dev/null) in
		caisson* | dnsmasq* | *qemu* | *virtiofsd*) echo "$pid $(tr '\0' ' ' < "/proc/$pid/cmdline")" ;;
		esac
	done 2> /dev/null
}

rows() {
	python3 - "$CAISSON_ROOT/db.sqlite" <<- 'END'
		import sqlite3, sys
		db = sqlite3.connect(f"file:{sys.argv[1]}?mode=ro", uri=True)
		for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name").fetchall():
		    print("rows of", name, db.execute(f'SELECT count(*) FROM "{name}"').fetchone()[0])
	END
}

# What must be the same.
seen() {
	local pid rest
	ours | while read -r pid rest; do
		echo "process $rest, descriptors: $(ls "/proc/$pid/fd" | wc -l), memfds: $(readlink "/proc/$pid/fd/"* | grep -c memfd), mappings: $(wc -l < "/proc/$pid/maps")"
	done | sort
	ip -br link | awk '{ print "link", $1 }'
	# but for those of files of cases that run at the same time
	awk -v own="$E2E_DIR" '!/\/bats-run-/ && (!/caisson-e2e\./ || index($0, own)) { print "mount", $0 }' /proc/self/mounts
	find "$CAISSON_ROOT" "$CAISSON_RUN" -printf 'file %p\n' | sort
	nft list ruleset | sed 's/packets [0-9]* bytes [0-9]*//'
	rows
	find /sys/fs/cgroup -type d -name '*caisson*' | sed 's/^/cgroup /'
}

private_kb() { ours | while read -r pid rest; do awk '/^RssAnon/ { print $2 }' "/proc/$pid/status"; done | awk '{ n += $1 } END { print n + 0 }'; }

# ---- a cgroup that everything that is started is counted in ----

cgroup_of_test() {
	local dir
	for dir in /sys/fs/cgroup/memory /sys/fs/cgroup; do
		[ -e "$dir/memory.stat" ] || [ -e "$dir/cgroup.controllers" ] || continue
		mkdir "$dir/leaks.$$" 2> /dev/null && [ -e "$dir/leaks.$$/memory.stat" ] && { echo "$dir/leaks.$$"; return; }
		rmdir "$dir/leaks.$$" 2> /dev/null || true
	done
}

counted() { # counted COMMAND...
	if [ -n "$CGROUP" ]; then
		sh -c 'echo $$ > "$1/cgroup.procs" && shift && exec "$@"' - "$CGROUP" "$@"
	else
		"$@"
	fi
}

# Memory of processes and shared memory that is still charged, in KiB.
charged_kb() { awk '/^(anon|shmem|rss) / { n += $2 } END { print int(n / 1024) }' "$CGROUP/memory.stat"; }
uncharged() { [ -z "$(cat "$CGROUP/cgroup.procs")" ] && [ "$(charged_kb)" -lt 512 ]; }

start_and_stop() { # start_and_stop NUMBER
	case $(($1 % 3)) in
	0) is "$(counted "$CAISSON" run --rm "$IMAGE" echo "$1")" "$1" ;;
	1)
		counted "$CAISSON" run -d --name leak "$IMAGE" sh -c 'trap "exit 0" TERM; while :; do sleep 0.1; done' > /dev/null
		is "$(counted "$CAISSON" exec leak echo "$1")" "$1"
		"$CAISSON" stop leak > /dev/null
		"$CAISSON" rm leak > /dev/null
		;;
	2) counted "$CAISSON" run --rm -v "$E2E_DIR/share:/x" --publish 8080:80 "$IMAGE" touch /x/y ;;
	esac
}

same_as_before() {
	seen > "$BATS_TEST_TMPDIR/after"
	diff "$BATS_TEST_TMPDIR/before" "$BATS_TEST_TMPDIR/after"
}

@test "starts and stops in a row leak no process, descriptor, mapping, memory, link, mount, file, rule, row or cgroup" {
	local i before CGROUP=
	# the first ones make what stays: caches, the bridge, who answers for names, who holds the template
	for i in 1 2 3; do start_and_stop $i; done
	eventually 10 no_leftovers
	seen > "$BATS_TEST_TMPDIR/before"
	before=$(private_kb)
	CGROUP=$(cgroup_of_test)
	for i in $(seq "$E2E_STARTS"); do start_and_stop "$i"; done
	start_and_stop 3 # who answers for names may have ended, where this took long
	eventually 20 same_as_before || fail "$(same_as_before)"
	echo "# private memory of what stays: $before kB before, $(private_kb) kB after $E2E_STARTS starts" >&3
	[ "$(private_kb)" -le $((before + 200)) ]
	[ -n "$CGROUP" ] || return 0
	# the template's memory has a page for whatever any clone has touched, which is charged to the first
	end_holders
	eventually 10 uncharged || fail "$(charged_kb) kB" "$(cat "$CGROUP/cgroup.procs" "$CGROUP/memory.stat")"
	rmdir "$CGROUP"
}
