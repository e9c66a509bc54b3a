# Pushing to registries: docker's own, and one that misbehaves. What was pushed is read by others, and runs when it is pulled back.
load lib

setup_file() {
	e2e_setup_file
	"$BATS_TEST_DIRNAME/fake-registry.py" "$E2E_DIR/fake-port" "$E2E_DIR/fake-log" > /dev/null 2>&1 3>&- &
	echo $! > "$E2E_DIR/fake-pid"
	eventually 20 test -s "$E2E_DIR/fake-port"
	FAKE=127.0.0.1:$(cat "$E2E_DIR/fake-port")
	own_registry_start
	export FAKE HOME=$E2E_DIR MADE=$OWN/made/image:one
	unset REGISTRY_AUTH_FILE XDG_RUNTIME_DIR DOCKER_CONFIG
	mkdir "$E2E_DIR/tree"
	head -c 6000000 /dev/urandom > "$E2E_DIR/tree/random"
	tar -C "$E2E_DIR/tree" -c . | caisson import - big:1 > /dev/null
}

teardown_file() {
	kill "$(cat "$E2E_DIR/fake-pid")"
	own_registry_stop
	e2e_teardown_file
}

@test "an image goes out and comes back, and others read it" {
	local digest
	caisson tag "$IMAGE" "$OWN/first/image"
	run -0 --separate-stderr caisson push "$OWN/first/image"
	is "${lines[0]}" 'Using default tag: latest'
	matches "$output" '[0-9a-f]{12}: Pushed'
	caisson tag "$IMAGE" "$MADE"
	run -0 --separate-stderr caisson push "$MADE"
	is "${lines[0]}" "The push refers to repository [$OWN/made/image]"
	matches "${lines[1]}" '^[0-9a-f]{12}: Preparing$'
	has "$output" 'Mounted from first/image'
	matches "${lines[-1]}" '^one: digest: sha256:[0-9a-f]{64} size: [0-9]+$'
	digest=$(sed -n 's/^one: digest: \(sha256:[0-9a-f]*\) .*/\1/p' <<< "$output")
	has "$(caisson image inspect --format '{{join .RepoDigests " "}}' "$MADE")" "$OWN/made/image@$digest"
	is "$(skopeo inspect --tls-verify=false --format '{{.Digest}}' "docker://$MADE")" "$digest"
	skopeo --insecure-policy copy -q --src-tls-verify=false "docker://$MADE" "oci:$E2E_DIR/oci:one"
	# the same again: nothing is sent
	run -0 --separate-stderr caisson push "$MADE"
	has "$output" 'Layer already exists'
	hasnt "$output" 'Pushed'
	caisson rmi "$MADE" "$OWN/first/image" > /dev/null
	run -0 --separate-stderr caisson run --rm --pull always "$OWN/made/image@$digest" echo back
	is "$output" back
}

@test "podman and docker's store of an imported image; -q" {
	is "$(caisson tag big:1 "$OWN/made/big" && caisson push -q "$OWN/made/big")" "$OWN/made/big:latest"
	skopeo --insecure-policy copy -q --src-tls-verify=false "docker://$OWN/made/big" "docker-archive:$E2E_DIR/docker.tar:big:1"
	requires podman
	podman --root "$E2E_DIR/podman" --runroot "$E2E_DIR/podman-run" --storage-driver vfs pull -q --tls-verify=false "$OWN/made/big" > /dev/null
	podman --root "$E2E_DIR/podman" --runroot "$E2E_DIR/podman-run" --storage-driver vfs rmi -a > /dev/null
	caisson rmi "$OWN/made/big" > /dev/null
}

@test "all tags" {
	caisson tag "$IMAGE" "$OWN/made/tags:a"
	caisson tag big:1 "$OWN/made/tags:b"
	run -0 --separate-stderr caisson push -a "$OWN/made/tags"
	matches "$output" 'a: digest: .*size'
	matches "$output" 'b: digest: .*size'
	caisson rmi "$OWN/made/tags:a" "$OWN/made/tags:b" > /dev/null
	caisson pull -aq "$OWN/made/tags" > /dev/null
	is "$(caisson images --format '{{.Tag}}' "$OWN/made/tags" | sort | xargs)" 'a b'
	caisson rmi "$OWN/made/tags:a" "$OWN/made/tags:b" > /dev/null
}

@test "what docker refuses is refused in its words" {
	run -1 --separate-stderr caisson push "$FAKE/pushed:none"
	has "$stderr" "An image does not exist locally with the tag: $FAKE/pushed"
	run -1 --separate-stderr caisson push -a "$FAKE/pushed"
	has "$stderr" "An image does not exist locally with the tag: $FAKE/pushed"
	run -1 --separate-stderr caisson push -a "$FAKE/pushed:x"
	has "$stderr" "tag can't be used with --all-tags/-a"
	run -1 --separate-stderr caisson push "$FAKE/pushed@sha256:$(printf x | sha256sum | cut -d ' ' -f 1)"
	has "$stderr" 'cannot push a digest reference'
	run -1 --separate-stderr caisson push 'UPPER'
	has "$stderr" 'invalid reference format'
}

# pushes NAME [IMAGE]: to the registry that misbehaves
pushes() {
	caisson tag "${2:-$IMAGE}" "$FAKE/$1"
	run --separate-stderr caisson push "$FAKE/$1"
	caisson rmi "$FAKE/$1" > /dev/null
}

works() {
	pushes "$@"
	is "$status" 0
	caisson pull -q "$FAKE/$1" > /dev/null
	caisson rmi "$FAKE/$1" > /dev/null
}

@test "a registry that takes it in parts, breaks off, or has its blobs elsewhere" {
	works pushed
	works pushed-small big:1
	matches "$(cat "$E2E_DIR/fake-log")" 'PATCH to pushed-small: 4194304 bytes'
	works pushed-flaky
	works pushed-far
	run grep pushed-far "$E2E_DIR/fake-log"
	has "$output" 'Authorization: None'
}

@test "a registry that refuses" {
	pushes pushed-denied
	is "$status" 1
	has "$stderr" "push access denied for $FAKE/pushed-denied, which may require 'caisson login $FAKE': layer"
	has "$stderr" 'denied: requested access to the resource is denied'
	pushes pushed-full
	is "$status" 1
	has "$stderr" "push $FAKE/pushed-full:latest: layer sha256:"
	has "$stderr" 'status 500; try again later'
	pushes pushed-bearer
	is "$status" 1
	has "$stderr" 'unauthorized: authentication required'
	printf secret | caisson login -u user --password-stdin "$FAKE" > /dev/null 2>&1
	works pushed-bearer
}

@test "a layer whose archive is damaged or gone is not sent" {
	local blob
	blob=$CAISSON_ROOT/blobs/$(ls -S "$CAISSON_ROOT/blobs" | head -n 1)
	printf x | dd of="$blob" bs=1 seek=5000 conv=notrunc 2> /dev/null
	caisson tag big:1 "$FAKE/pushed-damaged"
	run -1 --separate-stderr caisson push "$FAKE/pushed-damaged"
	matches "$stderr" 'archive is damaged: pull or import the image again'
	run -1 --separate-stderr caisson push "$FAKE/pushed-damaged"
	matches "$stderr" 'pull or import'
	caisson rmi "$FAKE/pushed-damaged" > /dev/null
}

@test "nothing is left" {
	remove_all
	assert_nothing_left
}
