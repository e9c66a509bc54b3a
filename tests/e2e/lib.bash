# Helpers of the end-to-end tests. tests/e2e/run-cases sets MODE (process or hyperv), CAISSON, E2E_FIXTURES and E2E_REGISTRY.
# E2E_IMAGE_TEMPLATE, if set: virtual machines of $IMAGE are clones of a template of that image.
# E2E_KERNEL_ROOT, if set, is a state directory (of `make kernel`, for example) whose guest kernels are used in place of the fixtures'.
#
# Every file has a Caisson of its own (root, run directory, configuration) whose configured isolation is $MODE, so that a case says nothing
# of the mode unless it must. A case that a mode cannot do says so: skip_in hyperv "why".
bats_require_minimum_version 1.5.0

# The files share $E2E_DIR by the environment of setup_file.
e2e_setup_file() {
	E2E_DIR=$(mktemp -d "${E2E_SCRATCH:-/var/tmp}/caisson-e2e.XXXXXX")
	export E2E_DIR CAISSON_ROOT=$E2E_DIR/root CAISSON_RUN=$E2E_DIR/run CAISSON_CONFIG=$E2E_DIR/conf
	export IMAGES=$E2E_REGISTRY/caisson-test IMAGE=$E2E_REGISTRY/caisson-test/busybox
	mkdir -m 700 "$CAISSON_ROOT" "$CAISSON_RUN"
	printf 'isolation = %s\naccel = tcg\ntemplate-linger = 5\nimage-templates = never\n' "$MODE" > "$CAISSON_CONFIG"
	# what is expensive to make and never written again
	if [ "$MODE" = hyperv ]; then
		mkdir -p "$E2E_FIXTURES/root/cache"
		ln -s "${E2E_KERNEL_ROOT:-$E2E_FIXTURES/root}/kernel" "$E2E_FIXTURES/root/cache" "$E2E_FIXTURES/root/template" "$CAISSON_ROOT/"
	fi
	caisson pull -q "$IMAGE" > /dev/null
	[ "$MODE" = process ] || [ -z "${E2E_IMAGE_TEMPLATE:-}" ] || image_template
}

# Templates of this file's own, as the EROFS file of the image is its own, too.
image_template() {
	rm "$CAISSON_ROOT/template"
	cp -r --sparse=always "$E2E_FIXTURES/root/template" "$CAISSON_ROOT/"
	sed -i 's/image-templates.*/image-templates = manual/' "$CAISSON_CONFIG"
	caisson template build "$IMAGE" > /dev/null
	caisson template build --network none "$IMAGE" > /dev/null
}

e2e_teardown_file() {
	[ -d "${E2E_DIR:-}" ] || return 0
	caisson ps -aq 2> /dev/null | xargs -r "$CAISSON" rm -f > /dev/null 2>&1 || true
	end_name_servers
	rm -rf "$E2E_DIR"
}

# They would stay for a minute after the last container.
end_name_servers() {
	local pid
	for pid in $(grep -lzs -e "$CAISSON_RUN" /proc/[0-9]*/cmdline | cut -d / -f 3); do
		[ "$(cat "/proc/$pid/comm" 2> /dev/null)" != caisson-dns ] || kill "$pid" 2> /dev/null || true
	done
}

setup_file() { e2e_setup_file; }
teardown_file() { e2e_teardown_file; }

# A registry of the file's own, for pushes: that of the images stays as it is. OWN is its address.
own_registry_start() {
	"$BATS_TEST_DIRNAME/registry" "$BATS_FILE_TMPDIR/registry" 3>&- &
	OWN_PID=$!
	eventually 20 test -s "$BATS_FILE_TMPDIR/registry/port"
	OWN=127.0.0.1:$(cat "$BATS_FILE_TMPDIR/registry/port")
	export OWN OWN_PID
}
own_registry_stop() { kill "$OWN_PID"; }

caisson() { "$CAISSON" "$@"; }

# skip_in MODE WHY
skip_in() {
	[ "$MODE" != "$1" ] || skip "$2"
}

requires() {
	local program
	for program; do
		command -v "$program" > /dev/null || skip "$program is not installed"
	done
}

# ---- assertions, which show what they saw ----

fail() {
	printf '%s\n' "$@" >&2
	return 1
}

is() { # is SEEN EXPECTED
	[ "$1" = "$2" ] || fail "expected: $2" "seen:     $1" "stderr:   ${stderr:-}"
}

has() { # has TEXT PART
	[[ $1 == *"$2"* ]] || fail "expected to have: $2" "seen: $1" "stderr: ${stderr:-}"
}

hasnt() {
	[[ $1 != *"$2"* ]] || fail "expected not to have: $2" "seen: $1"
}

matches() { # matches TEXT REGEX
	[[ $1 =~ $2 ]] || fail "expected to match: $2" "seen: $1" "stderr: ${stderr:-}"
}

# eventually SECONDS COMMAND...: true as soon as the command is
eventually() {
	local end=$((SECONDS + $1 + 1))
	shift
	until "$@" > /dev/null 2>&1; do
		if [ "$SECONDS" -ge "$end" ]; then
			fail "still not after a while: $*"
			return 1
		fi
		sleep 0.1
	done
}

ends_with() { # ends_with STATUS PID: a child of this shell (which a subshell, as of `run`, cannot wait for)
	local seen=0
	wait "$2" || seen=$?
	is "$seen" "$1"
}

# gone PID: no such process, or one that only waits to be collected
gone() {
	[ ! -d "/proc/$1" ] || grep -q '^State:[[:space:]]*[ZX]' "/proc/$1/status" 2> /dev/null || [ ! -d "/proc/$1" ]
}

field() { # field CONTAINER TEMPLATE
	caisson inspect --format "{{$2}}" "$1"
}

status_is() { # status_is CONTAINER STATUS
	[ "$(field "$1" .State.Status)" = "$2" ]
}

id_of() { field "$1" .Id; }

# The process that holds the container.
monitor_of() {
	local id pid
	id=$(id_of "$1")
	for pid in $(grep -lzs -- "^--run=$CAISSON_RUN\$" /proc/[0-9]*/cmdline | cut -d / -f 3); do
		! tr '\0' '\n' < "/proc/$pid/cmdline" 2> /dev/null | grep -qx "$id" || { echo "$pid"; return 0; }
	done
	return 1
}

# The running children of a process, of all generations.
descendants() {
	local child
	for child in $(cat /proc/"$1"/task/*/children 2> /dev/null); do
		echo "$child"
		descendants "$child"
	done
}

# The pids below the container's monitor whose program has this name.
helpers_of() { # helpers_of CONTAINER PROGRAM
	local pid
	for pid in $(descendants "$(monitor_of "$1")"); do
		case $(basename "$(readlink "/proc/$pid/exe" 2> /dev/null)") in "$2"*) echo "$pid" ;; esac
	done
}

# ---- what containers leave behind ----

# What builds a template beside the tests is nobody's leftover: it has the lowest priority.
builds_template() { [ "$(ps -o ni= -p "$1" | tr -d ' ')" = 19 ]; }

# Names whatever belongs to this file's Caisson and is still there although it has no container any more.
leftovers() {
	local pid directory
	for pid in $(grep -lzs -e "$E2E_DIR" /proc/[0-9]*/cmdline | cut -d / -f 3); do
		! builds_template "$pid" || continue
		case $({ tr '\0' ' ' < "/proc/$pid/cmdline"; } 2> /dev/null) in
		*bats* | *run-cases* | *fake-registry* | caisson-dns* | *dnsmasq* | '') ;;
		*) echo "process $pid: $(tr '\0' ' ' 2> /dev/null < "/proc/$pid/cmdline")" ;;
		esac
	done
	for pid in $(grep -ls -e "$E2E_DIR" /proc/[0-9]*/mountinfo | cut -d / -f 3); do
		# a network's hosts files are mounted in its dnsmasq's namespace
		[ "$(cat "/proc/$pid/comm" 2> /dev/null)" = dnsmasq ] || builds_template "$pid" || echo "mount: in process $pid"
	done
	find "$CAISSON_RUN" -mindepth 1 -path '*/containers/*' 2> /dev/null | sed 's/^/run directory: /'
	find "$CAISSON_ROOT/containers" -mindepth 1 -maxdepth 1 2> /dev/null | sed 's/^/container directory: /'
	ip -br link | sed -n 's/^\(csp[^ ]*\).*/interface: \1/p'
	nft list ruleset 2> /dev/null | grep -o '"csp[0-9a-f]*"' | sort -u | sed 's/^/element: /'
	find "$CAISSON_RUN/networks" -path '*/hosts/*' 2> /dev/null | sed 's/^/name: /'
	for id in $(cat "$E2E_DIR/ids" 2> /dev/null); do
		find /sys/fs/cgroup -type d -name "*$id*" 2> /dev/null | sed 's/^/cgroup: /'
	done
}

# Directories that no container owns, notes of unfinished work, volumes.
strays() {
	local id
	for id in $(ls "$CAISSON_ROOT/containers" "$CAISSON_RUN/containers" 2> /dev/null | grep -x '[0-9a-f]\{64\}'); do
		caisson ps -aq --no-trunc | grep -qx "$id" || echo "directory $id"
	done
	find "$CAISSON_ROOT/intents" "$CAISSON_ROOT/volumes" -mindepth 1 -maxdepth 1 2> /dev/null
}

no_leftovers() { [ -z "$(leftovers)" ]; }

# The containers there are, so that their cgroups are looked for after they have gone.
remember_ids() { caisson ps -aq --no-trunc >> "$E2E_DIR/ids"; }

remove_all() {
	remember_ids
	caisson ps -aq | xargs -r "$CAISSON" rm -f > /dev/null
}

assert_nothing_left() {
	eventually 5 no_leftovers || fail "$(leftovers)"
}

# box [OPTIONS...]: a container "box" that the cases of a file share, made anew if it has gone
box() {
	if ! status_is box running 2> /dev/null; then
		caisson rm -f box > /dev/null 2>&1 || true
		caisson run -d --name box "$@" "$IMAGE" sleep 100000 > /dev/null
	fi
}

in_box() { caisson exec box "$@"; }
