# Logging in to registries, and what is pulled with what was kept. The mode plays no part.
load lib

setup_file() {
	e2e_setup_file
	"$BATS_TEST_DIRNAME/fake-registry.py" "$E2E_DIR/fake-port" "$E2E_DIR/fake-log" > /dev/null 2>&1 3>&- &
	echo $! > "$E2E_DIR/fake-pid"
	eventually 20 test -s "$E2E_DIR/fake-port"
	PORT=$(cat "$E2E_DIR/fake-port")
	export PORT TOKEN=127.0.0.2:$PORT BASIC=127.0.0.3:$PORT SLOW=127.0.0.4:$PORT
	export HOME=$E2E_DIR
	unset REGISTRY_AUTH_FILE XDG_RUNTIME_DIR DOCKER_CONFIG
}

teardown_file() {
	kill "$(cat "$E2E_DIR/fake-pid")"
	e2e_teardown_file
}

setup() {
	rm -rf "$HOME/.docker"
	CONFIG=$HOME/.docker/config.json
}

log_in() { # log_in SERVER [USER [PASSWORD]]
	printf '%s\n' "${3:-secret}" | caisson login -u "${2:-user}" --password-stdin "$1"
}

# Kept in `kept` beside it; CALLS has how it was called.
make_helper() {
	mkdir -p "$HOME/bin" "$HOME/.docker"
	cat > "$HOME/bin/docker-credential-test" <<-'H'
		#!/bin/sh
		echo "$0 $*" >> "$HOME/calls"
		case $1 in
		get) cat "$HOME/kept" 2> /dev/null || { echo 'credentials not found in native keychain'; exit 1; } ;;
		store) cat > "$HOME/kept" ;;
		erase) rm "$HOME/kept" ;;
		esac
	H
	chmod +x "$HOME/bin/docker-credential-test"
	echo '{"credsStore": "test"}' > "$CONFIG"
	PATH=$HOME/bin:$PATH
}

@test "a registry with tokens: login, pull, logout" {
	run -1 --separate-stderr caisson pull -q "$TOKEN/bearer"
	has "$stderr" "may require 'caisson login $TOKEN'"
	run -0 --separate-stderr log_in "$TOKEN"
	is "$output" 'Login Succeeded'
	has "$stderr" "WARNING! Your password will be stored unencrypted in $CONFIG."
	is "$(stat -c %a "$CONFIG")" 600
	is "$(jq -r ".auths.\"$TOKEN\".auth" "$CONFIG" | base64 -d)" user:secret
	caisson pull -q "$TOKEN/bearer" > /dev/null
	run -0 --separate-stderr caisson login "$TOKEN"
	has "$output" 'Authenticating with existing credentials...'
	has "$output" 'Login Succeeded'
	is "$(caisson logout "$TOKEN")" "Removing login credentials for $TOKEN"
	is "$(caisson logout "$TOKEN")" "Not logged in to $TOKEN"
	run -1 caisson pull -q "$TOKEN/bearer"
	caisson rmi "$TOKEN/bearer" > /dev/null
}

@test "a registry with passwords, by -p, and names of servers as URLs" {
	run -0 --separate-stderr caisson login -u user -p secret "http://$BASIC/v2/"
	is "$output" 'Login Succeeded'
	has "$stderr" 'WARNING! Using --password via the CLI is insecure. Use --password-stdin.'
	caisson pull -q "$BASIC/basic" > /dev/null
	caisson rmi "$BASIC/basic" > /dev/null
	run -0 caisson logout "https://$BASIC"
}

@test "wrong ones are not kept, and what docker refuses is refused in its words" {
	run -1 --separate-stderr log_in "$TOKEN" user wrong
	matches "$stderr" "Get \"http://$TOKEN/v2/\": unauthorized: incorrect username or password"
	run -1 --separate-stderr log_in "$BASIC" user wrong
	matches "$stderr" "unauthorized: authentication required"
	[ ! -e "$CONFIG" ]
	run -1 --separate-stderr caisson login -u user -p x --password-stdin "$TOKEN"
	has "$stderr" '--password and --password-stdin are mutually exclusive'
	run -1 --separate-stderr caisson login --password-stdin "$TOKEN"
	has "$stderr" 'Must provide --username with --password-stdin'
	run -1 --separate-stderr caisson login -u user "$TOKEN" < /dev/null
	has "$stderr" 'Cannot perform an interactive login from a non TTY device'
	run -1 --separate-stderr log_in 'a b'
	has "$stderr" "'a b' is not a registry"
	run -1 --separate-stderr log_in "127.0.0.1:1"
	has "$stderr" '127.0.0.1:1'
	mkdir -p "$HOME/.docker"
	echo '{' > "$CONFIG"
	run -1 --separate-stderr log_in "$TOKEN"
	has "$stderr" "$CONFIG"
	is "$(cat "$CONFIG")" '{'
}

@test "an identity token is kept in place of the password, and used" {
	log_in "$TOKEN" keeper s3cr3t > /dev/null 2>&1
	is "$(jq -r ".auths.\"$TOKEN\".identitytoken" "$CONFIG")" identity
	run grep -c "$(printf s3cr3t | base64)" "$CONFIG"
	is "$output" 0
	caisson pull -q "$TOKEN/bearer" > /dev/null
	caisson rmi "$TOKEN/bearer" > /dev/null
	# the token is for the service that it is of, not for whom that leads to
	touch "$E2E_DIR/fake-log.away"
	run -1 --separate-stderr caisson pull -q "$TOKEN/bearer"
	rm "$E2E_DIR/fake-log.away"
	has "$stderr" 'answered with status 307'
	run -1 grep refresh_token "$E2E_DIR/fake-log"
}

@test "a credential helper keeps them, and no file does" {
	make_helper
	run -0 --separate-stderr log_in "$TOKEN"
	is "$stderr" ''
	is "$(jq -r '.ServerURL + " " + .Username + " " + .Secret' "$HOME/kept")" "$TOKEN user secret"
	is "$(jq -c . "$CONFIG")" '{"credsStore":"test"}'
	caisson pull -q "$TOKEN/bearer" > /dev/null
	caisson rmi "$TOKEN/bearer" > /dev/null
	is "$(caisson logout "$TOKEN")" "Removing login credentials for $TOKEN"
	[ ! -e "$HOME/kept" ]
	run grep -c secret "$HOME/calls"
	is "$output" 0
	# one that is missing is told when it would have been needed
	echo '{"credsStore": "absent"}' > "$CONFIG"
	caisson pull -q "127.0.0.1:$PORT/good" > /dev/null
	caisson rmi "127.0.0.1:$PORT/good" > /dev/null
	run -1 --separate-stderr caisson pull "$TOKEN/bearer"
	matches "$stderr" 'docker-credential-absent: not found in PATH'
}

@test "a terminal is asked, and does not show the password" {
	run -0 "$BATS_TEST_DIRNAME/terminal.py" 24x80 'expect:Username: ' 'send:user\n' 'expect:Password: ' 'send:secret\n' 'expect:Login Succeeded' -- \
		"$CAISSON" login "$TOKEN"
	hasnt "$output" secret
	rm "$CONFIG"
	run -130 "$BATS_TEST_DIRNAME/terminal.py" 24x80 'expect:Password: ' 'send:sec\x03' -- "$CAISSON" login -u user "$TOKEN"
	[ ! -e "$CONFIG" ]
}

@test "the password is in no command line and no environment" {
	log_in "$SLOW" user secret-of-this-case > /dev/null 2>&1 &
	local pid=$! seen=0
	fetches() { grep -lz -e "^$SLOW\$" /proc/[0-9]*/cmdline 2> /dev/null | grep -q .; }
	eventually 5 fetches
	sleep 0.5
	fetches
	# shellcheck disable=SC2010
	grep -lz -e 'secret-of-this-[c]ase' /proc/[0-9]*/cmdline /proc/[0-9]*/environ 2> /dev/null && seen=1
	is "$seen" 0
	ends_with 1 "$pid"
}
