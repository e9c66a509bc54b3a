# Runs the rows of bad-input.table: against Caisson (rows SECTION), or against docker (docker_rows SECTION).
# A row gets an error of its own, the exit status that docker has for it, and leaves nothing behind.

. "$BATS_TEST_DIRNAME/bad-input-setup.bash"

TABLE=$BATS_TEST_DIRNAME/bad-input.table
ROW_SECONDS=60

# A registry that misbehaves, by http and https; and a root directory with one image in it, of which rows take copies.
surroundings() {
	ip address add 10.9.8.7/32 dev lo
	openssl req -x509 -newkey rsa:2048 -nodes -keyout "$E2E_DIR/key" -out "$E2E_DIR/ca" -days 2 -subj /CN=test -addext subjectAltName=IP:10.9.8.7 2> /dev/null
	cat "$E2E_DIR/ca" "$E2E_DIR/key" > "$E2E_DIR/pem"
	"$BATS_TEST_DIRNAME/fake-registry.py" "$E2E_DIR/fake-port" "$E2E_DIR/fake-log" "$E2E_DIR/pem" > /dev/null 2>&1 3>&- &
	echo $! > "$E2E_DIR/fake-pid"
	eventually 20 test -s "$E2E_DIR/fake-port.tls"
	mkdir "$E2E_DIR/home"
	HOME=$E2E_DIR/home PORT=$(cat "$E2E_DIR/fake-port") TLS_PORT=$(cat "$E2E_DIR/fake-port.tls")
	FAKE=127.0.0.1:$PORT
	LONG=$(head -c 100000 /dev/zero | tr '\0' x)
	ODD=$'two words\n"quoted" \'single\' \\ tab\t $HOME end '
	export HOME PORT TLS_PORT FAKE LONG ODD
	unset DOCKER_CONFIG REGISTRY_AUTH_FILE XDG_RUNTIME_DIR
	tar -C "$(dirname "$(command -v busybox)")" -cf "$E2E_DIR/busybox.tar" busybox
	caisson system rebuild --force > /dev/null # into one file, which can be damaged
	cp -a "$CAISSON_ROOT" "$E2E_DIR/one-image"
	rm -r "$E2E_DIR/one-image/damaged"
}

end_surroundings() { kill "$(cat "$E2E_DIR/fake-pid")" 2> /dev/null || true; }

# What the rows are tried on: containers in every state, a network, a volume. TOOL is `caisson` or `docker`.
objects() {
	$TOOL run -d --name box "$IMAGE" sleep 100000
	$TOOL run -d --name held "$IMAGE" sleep 100000
	$TOOL pause held
	$TOOL create --name made "$IMAGE" true
	$TOOL run --name ended "$IMAGE" true
	$TOOL network create net1
	$TOOL network create --subnet 10.213.0.0/24 net2
	$TOOL volume create vol1
} > /dev/null

# Everything there is of this file's Caisson; two calls tell what a row left behind.
state() {
	"$CAISSON" ps -a --no-trunc --format '{{.ID}} {{.Names}} {{.State}}'
	find "$CAISSON_ROOT/" "$CAISSON_RUN/" "$DIR/" \( -path '*/layers/*/*' -o -path '*/containers/*/*' -o -path '*/volumes/*/*' -o -path '*/template' -o -path '*/cache' -o -path '*/erofs' \) -prune \
		-o ! -name 'db.sqlite*' ! -name 'dns.*' ! -name 'part-*' -print
	processes
	grep -F "$E2E_DIR" /proc/self/mountinfo | cut -d " " -f 5
	ip -br link | cut -d ' ' -f 1
}

# Those that clean up after a while by themselves are no leftovers.
processes() {
	local pid comm
	for pid in $(grep -lzs -e "$E2E_DIR" /proc/[0-9]*/cmdline | cut -d / -f 3); do
		read -r comm 2> /dev/null < "/proc/$pid/comm" || continue
		case $comm in
		caisson-templat | caisson-dns | dnsmasq | python3 | bash | bats* | '') ;;
		*) builds_template "$pid" || echo "process $pid $(tr '\0' ' ' 2> /dev/null < "/proc/$pid/cmdline")" ;;
		esac
	done
}

same_state() { [ "$(state)" = "$BEFORE" ]; }

# shows TEXT PATTERN: the pattern's parts, between which "..." stands for anything
shows() {
	local rest=$1 pattern=$2 part
	while part=${pattern%%...*}; do
		[[ $rest == *"$part"* ]] || return 1
		[[ $pattern == *...* ]] || return 0
		rest=${rest#*"$part"} pattern=${pattern#*...}
	done
}

# expanded TEXT: with the values of the variables that an error may name
expanded() {
	local text=$1 name
	for name in E2E_REGISTRY TLS_PORT PORT IMAGES IMAGE FAKE DIR CAISSON_ROOT; do
		text=${text//\$$name\//${!name}/}
		text=${text//\$$name/${!name}}
	done
	printf %s "$text"
}

# each_row SECTION FUNCTION: calls it with the six columns of every row
each_row() {
	local line section= name setup args status error docker n=0
	while IFS= read -r line; do
		case $line in
		'' | '#'*) continue ;;
		'['*']') section=${line//[\[\]]/} && continue ;;
		esac
		[ "$section" = "$1" ] || continue
		line=${line// | /$'\x1f'}
		IFS=$'\x1f' read -r name setup args status error docker <<< "$line"
		[ -n "$docker" ] || fail "a row without six columns: $line"
		"$2" "${name%"${name##*[! ]}"}" "$setup" "$args" "${status// /}" "$error" "$docker"
		n=$((n + 1))
	done < "$TABLE"
	[ "$n" -gt 0 ] || fail "the table has no section $1"
}

# attempt SET-UP ARGUMENTS: leaves output, errors and status in $DIR.out, .err, .status. The set-up may change what it likes of this subshell.
attempt() (
	set +e
	local one
	for one in $1; do
		[ "$one" = - ] || "$one" || { echo "the set-up $one failed" > "$DIR.err"; exit 1; }
	done
	cd "$DIR" || exit 1
	eval "timeout -s KILL $ROW_SECONDS ${PROGRAM:-$TOOL_PROGRAM} $2" < /dev/null > "$DIR.out" 2> "$DIR.err"
	echo $? > "$DIR.status"
	for one in $1; do
		[ "$(type -t "undo_$one")" != function ] || "undo_$one" || { echo "the end of the set-up $one failed" >> "$DIR.err"; echo bad > "$DIR.status"; }
	done
)

complain() { # complain ROW TEXT...
	local row=$1
	shift
	printf 'row "%s": %s\n' "$row" "$*" >&2
	sed 's/^/    /' "$DIR.err" >&2
	BAD_ROWS=$((BAD_ROWS + 1))
}

caisson_row() { # NAME SET-UP ARGUMENTS STATUS ERROR DOCKER
	local seen errors
	[[ " $2 " != *' hyperv '* || $MODE = hyperv ]] || return 0
	echo 'no status' > "$DIR.status"
	: > "$DIR.err"
	attempt "$2" "$3"
	seen=$(< "$DIR.status")
	errors=$(< "$DIR.err")
	[ "$seen" = "$4" ] || complain "$1" "status $seen instead of $4"
	shows "$errors" "$(expanded "$5")" || complain "$1" "the error does not have: $(expanded "$5")"
	if ! same_state && ! eventually 5 same_state 2> /dev/null; then
		complain "$1" "left behind: $(diff <(echo "$BEFORE") <(state))"
		BEFORE=$(state)
	fi
}

# The last column: `same`, or docker's own status and why it differs, or `none` and why docker is not asked.
docker_row() {
	local want=$4 seen
	case $6 in
	none*) return 0 ;;
	same*) ;;
	*) want=${6%% *} ;;
	esac
	attempt "$2" "$3"
	seen=$(< "$DIR.status")
	[ "$seen" = "$want" ] || complain "$1" "docker's status is $seen, not $want"
}

# run_rows SECTION PROGRAM FUNCTION; in a subshell without the trap by which bats follows every command, which takes more time than the rows
run_rows() (
	trap - DEBUG
	TOOL_PROGRAM=$2 DIR=$E2E_DIR/row BAD_ROWS=0
	mkdir -p "$DIR"
	sed "s/^isolation = .*/isolation = process/" "$CAISSON_CONFIG" > "$E2E_DIR/process.conf"
	[ "$2" != "$CAISSON" ] || BEFORE=$(state)
	each_row "$1" "$3"
	[ "$BAD_ROWS" = 0 ]
)

rows() { run_rows "$1" "$CAISSON" caisson_row; }
docker_rows() { run_rows "$1" /usr/bin/docker docker_row; }

sections() { sed -n 's/^\[\(.*\)\]$/\1/p' "$TABLE"; }
