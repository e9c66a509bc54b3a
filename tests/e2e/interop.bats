# Images that buildah has built run here, and what is committed here is run by docker and podman, by way of a registry and of an archive.
load lib

setup_file() {
	e2e_setup_file
	own_registry_start
	export STORE="--root $E2E_DIR/store --runroot $E2E_DIR/store-run --storage-driver vfs"
	# podman asks for limits that not every host can give
	cat > "$E2E_DIR/runtime" <<-'R'
		#!/bin/sh
		bundle=
		previous=
		for a; do
			[ "$previous" != --bundle ] || bundle=$a
			previous=$a
		done
		[ -z "$bundle" ] || python3 -c 'import json, sys; p = sys.argv[1]; c = json.load(open(p)); c["process"].pop("rlimits", 0); json.dump(c, open(p, "w"))' "$bundle/config.json"
		exec runc "$@"
	R
	chmod +x "$E2E_DIR/runtime"
}

teardown_file() {
	own_registry_stop
	e2e_teardown_file
}

teardown() {
	remove_all
	assert_nothing_left
}

# shellcheck disable=SC2086
buildah() { command buildah $STORE "$@"; }
# shellcheck disable=SC2086
podman() { command podman $STORE --events-backend none --runtime "$E2E_DIR/runtime" "$@"; }

# An image of two layers, of which the upper one removes, replaces and adds; pushed in one of the two formats.
build() { # build FORMAT
	local tree=$BATS_TEST_TMPDIR/tree first second
	mkdir -p "$tree/bin" "$tree/etc" "$tree/old"
	cp "$(command -v busybox)" "$tree/bin/"
	ln -sf busybox "$tree/bin/sh"
	echo 'web:x:1234:1234::/:/bin/sh' > "$tree/etc/passwd"
	echo 1 > "$tree/old/file"
	echo 1 > "$tree/replaced"
	first=$(buildah from scratch)
	buildah add -q "$first" "$tree" / > /dev/null
	buildah commit -q --format "$1" "$first" "local/first:$1" > /dev/null
	second=$(buildah from --pull-never "local/first:$1")
	rm -r "$tree"
	mkdir -p "$tree/srv"
	echo 2 > "$tree/replaced"
	echo "built by $1" > "$tree/srv/page"
	buildah add -q --chown 1234:1234 "$second" "$tree" / > /dev/null
	rm -rf "$(buildah mount "$second")/old"
	buildah umount "$second" > /dev/null
	buildah config --user web --workingdir /srv --env 'GREETING=two words' --entrypoint '["/bin/busybox"]' --cmd 'cat page' --label a=b "$second"
	buildah commit -q --format "$1" "$second" "local/built:$1" > /dev/null
	buildah push -q --tls-verify=false "local/built:$1" "docker://$OWN/interop/built:$1"
	buildah rm "$first" "$second" > /dev/null
}

@test "an image that buildah built, in its own and in docker's format" {
	requires buildah
	local format
	for format in oci docker; do
		build $format
		run -0 --separate-stderr caisson run --rm --pull always "$OWN/interop/built:$format"
		is "${lines[-1]}" "built by $format"
	done
	run -0 --separate-stderr caisson run --rm --entrypoint sh "$OWN/interop/built:oci" -c \
		'busybox id -u; pwd; echo "$GREETING"; busybox cat /replaced; busybox stat -c %u /srv/page; [ -e /old ] || echo gone'
	is "$output" $'1234\n/srv\ntwo words\n2\n1234\ngone'
}

# local/ours:1, which the checks below know.
commit() {
	caisson run --name box "$IMAGE" sh -c 'rm -r /etc/motd /usr 2> /dev/null; mkdir -p /srv/d && echo ours > /srv/d/page && chown 12:34 /srv/d/page && chmod 640 /srv/d/page &&
		ln -s d/page /srv/link && ln /srv/d/page /srv/again'
	caisson commit -c 'ENV GREETING=ours' -c 'WORKDIR /srv' -c 'CMD ["sh", "-c", "cat link; pwd; echo $GREETING; stat -c %u:%g:%a:%h d/page"]' box "$1" > /dev/null
	caisson rm box > /dev/null
}
OURS=$'ours\n/srv\nours\n12:34:640:2'

@test "what is committed and pushed here is pulled and run by docker and podman" {
	requires dockerd podman runc skopeo
	local d=$BATS_TEST_TMPDIR name=$OWN/interop/ours:1 dockerd
	commit "$name"
	run -0 --separate-stderr caisson run --rm "$name"
	is "$output" "$OURS"
	run -0 caisson push "$name"
	has "$output" 'digest: sha256:'
	caisson rmi "$name" > /dev/null
	run -0 --separate-stderr caisson run --rm "$name"
	is "$output" "$OURS"
	run -0 skopeo inspect --tls-verify=false --format '{{.Digest}}' "docker://$name"
	is "$(caisson image inspect --format '{{index .RepoDigests 0}}' "$name")" "${name%:1}@$output"

	run -0 podman pull -q --tls-verify=false "$name"
	run -0 podman run --rm --network none "$name"
	is "$output" "$OURS"

	/usr/sbin/dockerd --data-root "$d/data" --exec-root "$d/exec" -H "unix://$d/s" --pidfile "$d/pid" --bridge none --iptables=false --ip6tables=false \
		--storage-driver vfs > "$d/log" 2>&1 3>&- &
	dockerd=$!
	export DOCKER_HOST=unix://$d/s
	eventually 30 /usr/bin/docker version || skip "dockerd does not start here: $(tail -n 1 "$d/log")"
	run -0 /usr/bin/docker pull -q "$name"
	run -0 /usr/bin/docker run --rm --network none "$name"
	is "$output" "$OURS"
	unset DOCKER_HOST
	kill $dockerd
	eventually 20 gone $dockerd
}

@test "what is committed and saved here is loaded and run by podman" {
	requires podman runc
	commit local/saved:1
	caisson save -o "$BATS_TEST_TMPDIR/saved.tar" local/saved:1
	run -0 podman load -q -i "$BATS_TEST_TMPDIR/saved.tar"
	run -0 podman run --rm --network none local/saved:1
	is "$output" "$OURS"
}
