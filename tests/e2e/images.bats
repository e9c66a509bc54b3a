# Images: pull, import, images, rmi, inspect. No container is run here, so the mode plays no part.
load lib

@test "pull by tag, default tag, digest; what it prints" {
	run -0 --separate-stderr caisson pull "$IMAGES/layers:latest"
	matches "$output" 'sha256:[0-9a-f]{64}'
	has "$output" "$IMAGES/layers:latest"
	run -0 --separate-stderr caisson pull -q "$IMAGES/layers"
	is "$output" "$IMAGES/layers:latest"
	run -0 --separate-stderr caisson image inspect --format '{{index .RepoDigests 0}}' "$IMAGES/layers"
	local by_digest=$output
	matches "$by_digest" "^$IMAGES/layers@sha256:[0-9a-f]{64}\$"
	run -0 --separate-stderr caisson pull -q "$by_digest"
	run -1 --separate-stderr caisson pull "$IMAGES/layers@sha256:$(printf '0%.0s' {1..64})"
	has "$stderr" "$IMAGES/layers"
}

@test "pull again is quick and downloads nothing" {
	caisson pull -q "$IMAGES/layers"
	run -0 --separate-stderr caisson pull "$IMAGES/layers"
	has "$output" 'up to date'
}

@test "pull --platform; none that fits is an error" {
	run -0 --separate-stderr caisson pull -q --platform linux/arm64 "$IMAGES/platforms"
	run -0 --separate-stderr caisson image inspect --format '{{.Architecture}}' "$IMAGES/platforms"
	is "$output" arm64
	caisson pull -q "$IMAGES/platforms"
	run -0 --separate-stderr caisson image inspect --format '{{.Architecture}}' "$IMAGES/platforms"
	is "$output" amd64
	run -1 --separate-stderr caisson pull "$IMAGES/elsewhere"
	has "$stderr" amd64
}

@test "pull of what is not there" {
	run -1 --separate-stderr caisson pull "$IMAGES/nosuch"
	has "$stderr" nosuch
	run -1 --separate-stderr caisson pull "$IMAGES/busybox:nosuch"
	has "$stderr" nosuch
	run -1 --separate-stderr caisson pull 127.0.0.1:1/x
	has "$stderr" 127.0.0.1:1
}

@test "several pulls at once" {
	caisson rmi "$IMAGES/layers" || true
	"$CAISSON" pull -q "$IMAGES/layers" &
	local a=$!
	"$CAISSON" pull -q "$IMAGES/layers" &
	local b=$!
	"$CAISSON" pull -q "$IMAGES/config" &
	local c=$!
	wait $a
	wait $b
	wait $c
	run -0 --separate-stderr caisson images -q "$IMAGES/layers"
	is "${#lines[@]}" 1
}

@test "images: columns, filters, formats" {
	run -0 --separate-stderr caisson images
	matches "${lines[0]}" '^REPOSITORY +TAG +IMAGE ID +CREATED +SIZE *$'
	has "$output" "$IMAGES/busybox"
	run -0 --separate-stderr caisson images --format '{{.Repository}}:{{.Tag}}' "$IMAGES/busybox"
	is "$output" "$IMAGES/busybox:latest"
	run -0 --separate-stderr caisson images -q --no-trunc "$IMAGES/busybox"
	matches "$output" '^sha256:[0-9a-f]{64}$'
	run -0 --separate-stderr caisson image ls -q "$IMAGES/busybox"
	matches "$output" '^[0-9a-f]{12}$'
}

@test "image inspect shows the image's configuration" {
	caisson pull -q "$IMAGES/config"
	run -0 --separate-stderr caisson image inspect --format '{{.Config.User}} {{.Config.WorkingDir}} {{.Config.StopSignal}} {{json .Config.Volumes}} {{json .Config.Cmd}} {{.Os}}/{{.Architecture}}' "$IMAGES/config"
	is "$output" 'app /work/deep SIGUSR1 {"/data":{}} ["sh","-c","echo cmd"] linux/amd64'
	run -0 --separate-stderr sh -c "'$CAISSON' image inspect '$IMAGES/layers' | python3 -c 'import json, sys; print(len(json.load(sys.stdin)[0][\"RootFS\"][\"Layers\"]))'"
	is "$output" 3
	run -1 --separate-stderr caisson image inspect local/nosuch
	has "$stderr" 'local/nosuch'
}

@test "rmi: by name and id, refuses one in use, removes layers nobody needs" {
	caisson pull -q "$IMAGES/entrypoint"
	local id
	id=$(caisson images -q "$IMAGES/entrypoint")
	run -0 --separate-stderr caisson rmi "$id"
	has "$output" "Untagged: $IMAGES/entrypoint:latest"
	has "$output" 'Deleted: sha256:'
	run -1 --separate-stderr caisson rmi "$IMAGES/entrypoint"
	has "$stderr" "$IMAGES/entrypoint"
	caisson create --name user "$IMAGE" true > /dev/null
	run -1 --separate-stderr caisson rmi "$IMAGE"
	has "$stderr" 'is using'
	caisson rm user
	# another image of the same layer keeps working
	caisson pull -q "$IMAGES/entrypoint"
	caisson rmi "$IMAGE"
	run -0 caisson create --name still "$IMAGES/entrypoint"
	caisson rm still
	caisson pull -q "$IMAGE"
}

@test "after all images are removed the store is empty" {
	caisson images -q | sort -u | xargs "$CAISSON" rmi -f > /dev/null
	is "$(caisson images -q)" ''
	run -0 sh -c "find '$CAISSON_ROOT/layers' '$CAISSON_ROOT/blobs' '$CAISSON_ROOT/erofs' -mindepth 1 2> /dev/null | head"
	hasnt "$output" sha256
	caisson pull -q "$IMAGE"
}

@test "import: from a file, standard input, with changes; what is no tar is an error" {
	mkdir -p "$BATS_TEST_TMPDIR/r/etc"
	echo x > "$BATS_TEST_TMPDIR/r/etc/x"
	tar -C "$BATS_TEST_TMPDIR/r" -cf "$BATS_TEST_TMPDIR/r.tar" .
	run -0 --separate-stderr caisson import "$BATS_TEST_TMPDIR/r.tar" local/r
	matches "$output" '^sha256:'
	run -0 --separate-stderr sh -c "'$CAISSON' import --change 'ENV A=b' --change 'ENTRYPOINT [\"/x\"]' --change 'WORKDIR /w' -m note - local/s:2 < '$BATS_TEST_TMPDIR/r.tar'"
	run -0 --separate-stderr caisson image inspect --format '{{json .Config.Env}} {{json .Config.Entrypoint}} {{.Config.WorkingDir}}' local/s:2
	is "$output" '["A=b"] ["/x"] /w'
	head -c 10000 /dev/urandom > "$BATS_TEST_TMPDIR/junk"
	caisson import --platform linux/arm64 "$BATS_TEST_TMPDIR/r.tar" local/arm > /dev/null
	is "$(caisson image inspect --format '{{.Os}}/{{.Architecture}}' local/arm)" linux/arm64
	caisson rmi local/arm > /dev/null
	run -1 --separate-stderr caisson import "$BATS_TEST_TMPDIR/junk" local/junk
	[ -n "$stderr" ]
	run -1 --separate-stderr caisson import "$BATS_TEST_TMPDIR/nosuch.tar" local/junk
	has "$stderr" nosuch.tar
	run -1 --separate-stderr caisson image inspect local/junk
}

@test "import of a tar that tries to leave its folder" {
	mkdir -p "$BATS_TEST_TMPDIR/out"
	python3 - "$BATS_TEST_TMPDIR" <<-'P'
		import io, sys, tarfile

		where = sys.argv[1]

		def make(name, *entries):
		    with tarfile.open(f"{where}/{name}.tar", "w") as t:
		        for path, kind, link in entries:
		            i = tarfile.TarInfo(path)
		            i.type, i.linkname = kind, link
		            i.mode = 0o755
		            data = b"escaped" if kind == tarfile.REGTYPE else b""
		            i.size = len(data)
		            t.addfile(i, io.BytesIO(data))

		F, L, H, D = tarfile.REGTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.DIRTYPE
		make("dotdot", ("../" * 12 + where[1:] + "/out/dotdot", F, ""))
		make("absolute", (where + "/out/absolute", F, ""))
		make("symlink", ("link", L, where + "/out"), ("link/symlink", F, ""))
		make("relative", ("d", D, ""), ("d/link", L, "../" * 12 + where[1:] + "/out"), ("d/link/relative", F, ""))
		make("hardlink", ("h", H, "../" * 12 + "etc/passwd"))
		make("hard2", ("l", L, "/etc"), ("h", H, "l/passwd"))
	P
	local name
	for name in dotdot absolute symlink relative hardlink hard2; do
		run --separate-stderr caisson import "$BATS_TEST_TMPDIR/$name.tar" "local/$name"
		is "$(ls "$BATS_TEST_TMPDIR/out")" ''
	done
	is "$(stat -c %h /etc/passwd)" 1
}

@test "nothing is left behind" {
	remove_all
	assert_nothing_left
	run -0 find "$CAISSON_ROOT" -maxdepth 2 -mindepth 2 -name '*tmp*'
	is "$output" ''
}
