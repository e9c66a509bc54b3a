# A registry that misbehaves: nothing of a pull that failed is left, and nothing that was not checked is used. The mode plays no part.
load lib

setup_file() {
	e2e_setup_file
	"$BATS_TEST_DIRNAME/fake-registry.py" "$E2E_DIR/fake-port" "$E2E_DIR/fake-log" > /dev/null 2>&1 3>&- &
	echo $! > "$E2E_DIR/fake-pid"
	eventually 20 test -s "$E2E_DIR/fake-port"
	FAKE=127.0.0.1:$(cat "$E2E_DIR/fake-port")
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
	run find / -xdev -maxdepth 3 -name escaped
	is "$output" ''
	run find "$CAISSON_ROOT" -name escaped
	is "$output" ''
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

@test "nothing is left behind" {
	remove_all
	assert_nothing_left
	run find "$CAISSON_ROOT" -maxdepth 2 -mindepth 2 -name '*tmp*'
	is "$output" ''
}
