# A registry that misbehaves: nothing of a pull that failed is left, and nothing that was not checked is used. The mode plays no part.
load lib

setup_file() {
	e2e_setup_file
	ip address add 10.9.8.7/32 dev lo
	ip address add 10.9.8.6/32 dev lo
	openssl req -x509 -newkey rsa:2048 -nodes -keyout "$E2E_DIR/key" -out "$E2E_DIR/ca" -days 2 -subj /CN=test -addext subjectAltName=IP:10.9.8.7 2> /dev/null
	cat "$E2E_DIR/ca" "$E2E_DIR/key" > "$E2E_DIR/pem"
	"$BATS_TEST_DIRNAME/fake-registry.py" "$E2E_DIR/fake-port" "$E2E_DIR/fake-log" "$E2E_DIR/pem" > /dev/null 2>&1 3>&- &
	echo $! > "$E2E_DIR/fake-pid"
	eventually 20 test -s "$E2E_DIR/fake-port"
	PORT=$(cat "$E2E_DIR/fake-port") TLS_PORT=$(cat "$E2E_DIR/fake-port.tls") FAKE=127.0.0.1:$(cat "$E2E_DIR/fake-port")
	export PORT TLS_PORT
	mkdir "$E2E_DIR/auth" "$E2E_DIR/noauth"
	printf '{"auths": {"%s": {"auth": "%s"}}}' "$FAKE" "$(printf user:secret | base64)" > "$E2E_DIR/auth/config.json"
	export FAKE DOCKER_CONFIG=$E2E_DIR/auth HOME=$E2E_DIR/noauth
	unset REGISTRY_AUTH_FILE XDG_RUNTIME_DIR
}

teardown_file() {
	kill "$(cat "$E2E_DIR/fake-pid")"
	e2e_teardown_file
}

fails() { # fails NAME [PART OF THE MESSAGE]
	run -1 --separate-stderr caisson pull "$FAKE/$1"
	has "$stderr" "$1"
	[ -z "${2:-}" ] || matches "$stderr" "$2"
	run -1 caisson image inspect "$FAKE/$1"
	is "$(find / -xdev -maxdepth 3 -name escaped 2> /dev/null)" ''
	is "$(find "$CAISSON_ROOT" -name escaped)" ''
}

works() {
	run -0 --separate-stderr caisson pull -q "$FAKE/$1"
	caisson rmi "$FAKE/$1" > /dev/null
}

@test "gzip, zstd, plain, many layers, an index" {
	for name in good zstd plain many index; do works $name; done
}

@test "a digest or size that does not match" {
	fails wrong-digest digest
	fails wrong-config digest
	fails wrong-diffid
	fails short
	fails long
}

@test "a truncated or corrupt layer" {
	fails truncated
	fails corrupt
}

@test "a connection that breaks or an overloaded registry is tried again" {
	works flaky
	works drop
}

@test "layers that try to leave their folder" {
	local name
	for name in dotdot absolute symlink hardlink; do
		run --separate-stderr caisson pull "$FAKE/$name"
		run find /tmp /var/tmp -xdev -maxdepth 1 -name escaped
		is "$output" ''
		[ ! -e /escaped ]
		is "$(stat -c %h /etc/passwd)" 1
		caisson rmi "$FAKE/$name" > /dev/null 2>&1 || true
	done
}

@test "credentials: Bearer and basic; wrong or missing ones" {
	works bearer
	works basic
	run -1 --separate-stderr env DOCKER_CONFIG="$E2E_DIR/noauth" "$CAISSON" pull "$FAKE/bearer"
	has "$stderr" bearer
	run -1 --separate-stderr env DOCKER_CONFIG="$E2E_DIR/noauth" "$CAISSON" pull "$FAKE/basic"
	has "$stderr" basic
}

@test "a redirect to another host does not get the credentials" {
	works redirect
	run cat "$E2E_DIR/fake-log"
	has "$output" 'Authorization: None'
	hasnt "$output" Bearer
	hasnt "$output" Basic
}

@test "what is no image for this machine, or no image at all" {
	fails noarch amd64
	fails schema1
	fails garbage
	fails huge-manifest
	fails empty
}

# with_conf LINE: the rest of the case has this in its configuration, too
with_conf() {
	CAISSON_CONFIG=$BATS_TEST_TMPDIR/conf
	cp "$E2E_DIR/conf" "$CAISSON_CONFIG"
	printf '%s\n' "$@" >> "$CAISSON_CONFIG"
}

platform_of() { caisson image inspect --format '{{.Os}}/{{.Architecture}}' "$1"; }

@test "--platform chooses among several; what is not there is named with what is" {
	caisson pull -q --platform linux/arm64 "$FAKE/arches" > /dev/null
	is "$(platform_of "$FAKE/arches")" linux/arm64
	caisson pull -q "$FAKE/arches" > /dev/null
	is "$(platform_of "$FAKE/arches")" linux/amd64
	run -1 --separate-stderr caisson pull --platform linux/s390x "$FAKE/arches"
	has "$stderr" 'no matching manifest for linux/s390x in the manifest list entries'
	has "$stderr" 'linux/amd64, linux/arm64'
	run -1 --separate-stderr caisson pull --platform linux/arm64 "$FAKE/good"
	has "$stderr" 'linux/amd64'
	run -1 --separate-stderr caisson pull --platform vms/vax "$FAKE/good"
	has "$stderr" '"vms/vax": unknown operating system or architecture'
	# the image that is here is for another platform: it is pulled; without the choice there is a warning
	caisson create --platform linux/arm64 --name other "$FAKE/arches" true > /dev/null
	is "$(platform_of "$FAKE/arches")" linux/arm64
	run -0 --separate-stderr caisson create --name warned "$FAKE/arches" true
	has "$stderr" "image's platform (linux/arm64) does not match the detected host platform (linux/amd64)"
	run -1 --separate-stderr caisson create --pull never --platform linux/amd64 "$FAKE/arches" true
	has "$stderr" 'was found but does not match the specified platform: wanted linux/amd64, actual: linux/arm64'
	caisson rm other warned > /dev/null
	caisson rmi "$FAKE/arches" > /dev/null
}

@test "all tags of a repository, over several pages" {
	run -0 --separate-stderr caisson pull -a "$FAKE/tags"
	matches "$output" "one: Pulling from tags"
	is "${lines[-1]}" "$FAKE/tags"
	has "$output" "Status: Downloaded newer image for $FAKE/tags"
	is "$(caisson images --format '{{.Tag}}' "$FAKE/tags" | sort | xargs)" 'latest one two'
	is "$(caisson pull -aq "$FAKE/tags")" "$FAKE/tags"
	run -1 --separate-stderr caisson pull -a "$FAKE/tags:one"
	has "$stderr" "tag can't be used with --all-tags/-a"
	run -1 --separate-stderr caisson pull -a --isolation=hyperv "$FAKE/tags"
	has "$stderr" 'conflicting options: --all-tags and --isolation=hyperv'
	caisson rmi "$FAKE/tags" "$FAKE/tags:one" "$FAKE/tags:two" > /dev/null
}

@test "TLS: an unknown authority, another name, none at all; registries that the configuration names" {
	run -1 --separate-stderr caisson pull "10.9.8.7:$TLS_PORT/good"
	matches "$stderr" "10.9.8.7:$TLS_PORT.*certificate.*update-ca-certificates.*insecure-registries"
	run -1 --separate-stderr caisson pull "10.9.8.7:$PORT/good"
	matches "$stderr" "server gave HTTP response to HTTPS client.*10.9.8.7:$PORT in insecure-registries"
	# shellcheck disable=SC2016
	local trusting='mount --bind "$0" /etc/ssl/certs/ca-certificates.crt && exec "$@"'
	run -0 unshare -m sh -c "$trusting" "$E2E_DIR/ca" "$CAISSON" pull -q "10.9.8.7:$TLS_PORT/good"
	run -1 --separate-stderr unshare -m sh -c "$trusting" "$E2E_DIR/ca" "$CAISSON" pull -q "10.9.8.6:$TLS_PORT/good"
	matches "$stderr" '10.9.8.6.*(name|address)'
	with_conf "insecure-registries = 10.9.8.7:$TLS_PORT, 10.9.8.6:$PORT"
	caisson pull -q "10.9.8.7:$TLS_PORT/good" > /dev/null
	caisson pull -q "10.9.8.6:$PORT/good" > /dev/null
	run -1 caisson pull "10.9.8.7:$PORT/good"
	caisson rmi "10.9.8.7:$TLS_PORT/good" "10.9.8.6:$PORT/good" > /dev/null
	with_conf 'insecure-registries = http://x/'
	run -1 --separate-stderr caisson pull "$FAKE/good"
	has "$stderr" 'HOST:PORT'
}

@test "what a registry refuses is said with the remedy" {
	run -1 --separate-stderr env DOCKER_CONFIG="$E2E_DIR/noauth" "$CAISSON" pull "$FAKE/bearer"
	has "$stderr" "pull access denied for $FAKE/bearer:latest, repository does not exist or may require 'caisson login $FAKE': unauthorized: authentication required"
	fails forbidden "may require 'caisson login.*: denied: requested access"
	fails empty 'repository .* not found: name unknown'
	run -1 --separate-stderr caisson pull "$FAKE/good:nope"
	has "$stderr" "manifest for $FAKE/good:nope not found: manifest unknown"
	fails down 'status 503; try again later'
	fails nested 'manifest'
	fails nested-huge 'manifest.*larger than 4194304 bytes'
	fails busy-long 'toomanyrequests: slow down; the registry asks to wait for 3600 s'
	works busy
}

@test "a registry that says nothing is given up in time" {
	with_conf 'registry-timeout = 1'
	local begin=$SECONDS
	run -1 --separate-stderr caisson pull "$FAKE/stall"
	has "$stderr" "$FAKE/stall"
	has "$stderr" 'has sent nothing for 1 s'
	[ $((SECONDS - begin)) -lt 30 ]
}

@test "a download that broke off goes on where it stopped" {
	: > "$E2E_DIR/fake-log"
	works resume
	run grep resume "$E2E_DIR/fake-log"
	matches "$output" 'Range: bytes=[1-9][0-9]*-'
	works norange
	works wrongrange
	works garbled
}

@test "the next pull goes on where this one ended, but not from what is damaged" {
	local part
	fails refused 'not now'
	part=$(find "$CAISSON_ROOT/blobs" -name 'part-*' -size +100k)
	[ -n "$part" ]
	touch "$E2E_DIR/fake-log.go"
	: > "$E2E_DIR/fake-log"
	works refused
	matches "$(cat "$E2E_DIR/fake-log")" "Range: bytes=$(($(grep -o 'blob of [0-9]*' "$E2E_DIR/fake-log" | sort -k 3n | tail -n 1 | cut -d ' ' -f 3) / 2))-"
	[ ! -e "$part" ]
	rm "$E2E_DIR/fake-log.go"
	fails refused 'not now'
	printf x | dd of="$part" bs=1 seek=1000 conv=notrunc 2> /dev/null
	touch "$E2E_DIR/fake-log.go"
	run caisson pull -q "$FAKE/refused"
	matches "$(cat "$E2E_DIR/fake-log")" 'Range: None.*Range: None' # from the start again
	rm -f "$part"
	works refused
	# a whole one needs no transfer; one that is too old goes
	caisson pull -q "$FAKE/good" > /dev/null
	cp "$(find "$CAISSON_ROOT/blobs" -type f -size -2 | grep -v part- | head -n 1)" "$E2E_DIR/blob"
	caisson rmi "$FAKE/good" > /dev/null
	touch -d '2 days ago' "$E2E_DIR/blob"
	cp -p "$E2E_DIR/blob" "$CAISSON_ROOT/blobs/part-$(sha256sum "$E2E_DIR/blob" | cut -d ' ' -f 1)"
	caisson pull -q "$FAKE/plain" > /dev/null
	caisson rmi "$FAKE/plain" > /dev/null
	is "$(find "$CAISSON_ROOT/blobs" -name "part-$(sha256sum "$E2E_DIR/blob" | cut -d ' ' -f 1)")" ''
}

# Begins a pull that does not end, and kills it once the registry has been asked for the layer.
kill_a_pull() {
	local pid fetch
	: > "$E2E_DIR/fake-log"
	"$CAISSON" pull "$FAKE/stall" > /dev/null 2>&1 &
	pid=$!
	eventually 10 grep -q 'stall: blob of [0-9]\{6\}' "$E2E_DIR/fake-log"
	sleep 0.3
	fetch=$(cat "/proc/$pid/task/$pid/children")
	kill -9 $fetch
	ends_with 1 "$pid"
}

@test "a pull that was killed is gone on with" {
	kill_a_pull
	is "$(find "$CAISSON_ROOT/blobs" -name 'part-*' -size +100k | wc -l)" 1
	kill_a_pull
	matches "$(cat "$E2E_DIR/fake-log")" 'Range: bytes=[1-9][0-9]*-'
	caisson pull -q "$FAKE/good" > /dev/null # and sweeps
	caisson rmi "$FAKE/good" > /dev/null
}

@test "nothing is left behind" {
	remove_all
	assert_nothing_left
	run find "$CAISSON_ROOT" -maxdepth 2 -mindepth 2 -name '*tmp*'
	is "$output" ''
}
