# Images in archives: save, load, what other tools make of them, what is left when they are killed or the disk is full; image prune. The mode plays no part,
# but for a loaded image that runs (layers.bats).
load lib

# Whatever the case before did to them.
setup() {
	local name
	for name in busybox layers config; do
		caisson image inspect "$IMAGES/$name" > /dev/null 2>&1 || caisson pull -q "$IMAGES/$name" > /dev/null
	done
	caisson tag "$IMAGE" local/b:1
	caisson tag "$IMAGE" local/b:2
}

teardown() {
	remove_all
	assert_nothing_left
}

saved() { # saved FILE IMAGE...
	run -0 caisson save -o "$@"
	is "$output" ''
}

# What load prints.
loaded() { # loaded FILE LINE...
	local expected
	run -0 --separate-stderr caisson load -i "$1"
	shift
	expected=$(printf '%s\n' "$@")
	is "$output" "$expected"
}

id_of_image() { caisson image inspect --format '{{.Id}}' "$1"; }

# Nothing is there that no image needs. The next command that adds or removes sweeps.
nothing_stray() {
	caisson rmi "$(echo x | tar -cf - -T /dev/null | caisson import - local/sweep)" > /dev/null
	find "$CAISSON_ROOT/blobs" "$CAISSON_ROOT/layers" -mindepth 1 -maxdepth 1 -name 'tmp-*'
	is "$(find "$CAISSON_ROOT/blobs" -type f | wc -l)" "$(sql 'SELECT count(DISTINCT blob) FROM layer')"
	is "$(find "$CAISSON_ROOT/layers" -mindepth 1 -maxdepth 1 -type d | wc -l)" "$(sql 'SELECT count(*) FROM layer')"
}

sql() { # sql STATEMENT, which the mirror of the database is not told of
	python3 -c 'import sqlite3, sys
d = sqlite3.connect(sys.argv[1])
d.create_function("mirror", -1, lambda *a: 0)
for r in d.execute(sys.argv[2]): print(*r)
d.commit()' "$CAISSON_ROOT/db.sqlite" "$1"
}

@test "save and load: names, ids, the registry's manifest; each layer once; the same bytes again" {
	local a=$BATS_TEST_TMPDIR/a.tar id
	id=$(id_of_image "$IMAGE")
	saved "$a" local/b "$IMAGE" "$IMAGES/layers"
	is "$(stat -c %a "$a")" 600
	is "$(tar tf "$a" | sort | uniq -d)" ''
	has "$(tar xOf "$a" manifest.json)" '"RepoTags":["local/b:1","local/b:2"'
	caisson save local/b "$IMAGE" "$IMAGES/layers" | cmp - "$a"
	caisson save -o "$a" local/b "$IMAGE" "$IMAGES/layers"
	# the manifest is the registry's
	run -0 caisson image inspect --format '{{index .RepoDigests 0}}' "$IMAGES/layers"
	tar tf "$a" | grep -qx "blobs/sha256/${output##*sha256:}"
	caisson images -q | sort -u | xargs "$CAISSON" rmi -f > /dev/null
	is "$(find "$CAISSON_ROOT/blobs" -type f)" ''
	loaded "$a" 'Loaded image: local/b:1' 'Loaded image: local/b:2' "Loaded image: $IMAGE:latest" "Loaded image: $IMAGES/layers:latest"
	is "$(id_of_image local/b:2)" "$id"
	caisson save local/b "$IMAGE" "$IMAGES/layers" | cmp - "$a"
	# again, from standard input, without progress
	run -0 sh -c "'$CAISSON' load -q < '$a'"
	has "$output" 'Loaded image: local/b:1'
}

@test "save by id and digest has no name; load tells of a name that moves; image load and save" {
	local a=$BATS_TEST_TMPDIR/a.tar id other
	id=$(id_of_image local/b:1)
	other=$(id_of_image "$IMAGES/config")
	saved "$a" "${id#sha256:}"
	has "$(tar xOf "$a" manifest.json)" '"RepoTags":null'
	loaded "$a" "Loaded image ID: $id"
	run -0 caisson image save -o "$a" local/b:1
	caisson tag "$IMAGES/config" local/b:1
	run -0 caisson image load -i "$a"
	is "$output" "The image local/b:1 already exists, renaming the old one with ID $other to empty string"$'\n''Loaded image: local/b:1'
	is "$(id_of_image local/b:1)" "$id"
}

@test "load reads what is compressed" {
	local a=$BATS_TEST_TMPDIR/a.tar c
	saved "$a" local/b:1
	for c in gzip bzip2 xz zstd; do
		command -v $c > /dev/null || continue
		$c < "$a" > "$a.$c"
		loaded "$a.$c" 'Loaded image: local/b:1'
	done
}

@test "on a terminal both refuse; output paths" {
	run -1 "$BATS_TEST_DIRNAME/terminal.py" 24x80 wait -- "$CAISSON" save "$IMAGE"
	has "$output" 'cowardly refusing to save to a terminal. Use the -o flag or redirect'
	run -1 "$BATS_TEST_DIRNAME/terminal.py" 24x80 wait -- "$CAISSON" load
	has "$output" 'requested load from stdin, but stdin is empty'
	run -1 caisson save -o "$BATS_TEST_TMPDIR/no/x.tar" "$IMAGE"
	has "$output" "failed to save image: invalid output path: directory \"$BATS_TEST_TMPDIR/no\" does not exist"
	run -1 caisson save -o /dev/null "$IMAGE"
	has "$output" 'failed to save image: invalid output path: "/dev/null" must be a directory or a regular file: got a device'
	run -1 caisson save -o "$BATS_TEST_TMPDIR" "$IMAGE"
	has "$output" "invalid output path: \"$BATS_TEST_TMPDIR\" is a directory"
	# what was there stays until there is something better
	mkdir "$BATS_TEST_TMPDIR/out"
	echo old > "$BATS_TEST_TMPDIR/out/x.tar"
	run -1 --separate-stderr caisson save -o "$BATS_TEST_TMPDIR/out/x.tar" "$IMAGE" local/nosuch
	has "$stderr" 'No such image: local/nosuch'
	is "$(cat "$BATS_TEST_TMPDIR/out/x.tar")" old
	is "$(ls -A "$BATS_TEST_TMPDIR/out")" x.tar
	run -1 caisson load -i "$BATS_TEST_TMPDIR"
	has "$output" 'Is a directory'
	run -1 caisson load -i "$BATS_TEST_TMPDIR/nosuch.tar"
	has "$output" "open $BATS_TEST_TMPDIR/nosuch.tar: No such file or directory"
	run -1 caisson save
	has "$output" 'requires at least 1 argument'
}

@test "imported images, of any compression, can be saved" {
	local d=$BATS_TEST_TMPDIR c
	mkdir -p "$d/r/etc"
	echo x > "$d/r/etc/x"
	for c in cat gzip xz; do
		tar -C "$d/r" -cf - . | $c > "$d/r.$c"
		caisson import "$d/r.$c" local/import > /dev/null
		saved "$d/i.tar" local/import
		caisson rmi local/import > /dev/null
		loaded "$d/i.tar" 'Loaded image: local/import:latest'
		caisson rmi local/import > /dev/null
	done
}

@test "an image of before blobs were kept, and a damaged blob: an error that names the remedy, which works" {
	local a=$BATS_TEST_TMPDIR/a.tar diff blob
	saved "$a" "$IMAGES/layers"
	diff=$(caisson image inspect --format '{{index .RootFS.Layers 0}}' "$IMAGES/layers")
	sql "UPDATE layer SET blob = '', blob_size = 0 WHERE diff_id = '$diff'"
	run -1 --separate-stderr caisson save -o "$a.2" "$IMAGES/layers"
	has "$stderr" "layer $diff: its archive is not here, as an older version of caisson unpacked it: pull or import the image again"
	[ ! -e "$a.2" ]
	caisson pull -q "$IMAGES/layers" > /dev/null
	saved "$a.2" "$IMAGES/layers"
	cmp "$a" "$a.2"
	blob=$CAISSON_ROOT/blobs/$(sql "SELECT substr(blob, 8) FROM layer WHERE diff_id = '$diff'")
	printf x | dd of="$blob" bs=1 seek=20 conv=notrunc status=none
	run -1 --separate-stderr caisson save -o "$a.3" "$IMAGES/layers"
	has "$stderr" "layer $diff: its archive is damaged"
	[ ! -e "$a.3" ]
	caisson pull -q "$IMAGES/layers" > /dev/null
	saved "$a.3" "$IMAGES/layers"
	cmp "$a" "$a.3"
	# load brings a layer, too
	rm "$CAISSON_ROOT/blobs"/*
	run -1 caisson save -o "$a.4" "$IMAGES/layers"
	loaded "$a" "Loaded image: $IMAGES/layers:latest"
	caisson pull -q "$IMAGE" > /dev/null
	caisson pull -q "$IMAGES/config" > /dev/null
	saved "$a.4" "$IMAGES/layers" "$IMAGE"
}

@test "archives that are wrong: an error that names what, and nothing is left" {
	local d=$BATS_TEST_TMPDIR name text
	saved "$d/good.tar" local/b:1
	caisson image prune -af > /dev/null # or its layers would be known
	"$BATS_TEST_DIRNAME/make-archives.py" "$d/good.tar" "$d"
	while IFS=$'\t' read -r name text; do
		echo "# $name"
		run -1 --separate-stderr caisson load -i "$d/$name.tar"
		has "$stderr" "caisson: load $d/$name.tar: "
		has "$stderr" "$text"
		is "$output" ''
	done < "$d/expected"
	is "$(caisson images -q)" ''
	run --separate-stderr find / -xdev -maxdepth 3 -name escaped
	is "$output" ''
	nothing_stray
	loaded "$d/good.tar" 'Loaded image: local/b:1'
}

@test "podman, skopeo and buildah read ours, and we read theirs" {
	requires podman skopeo buildah
	local d=$BATS_TEST_TMPDIR
	local store="--root $d/store --runroot $d/run --storage-driver vfs"
	local id
	id=$(id_of_image "$IMAGE")
	saved "$d/one.tar" local/b:1
	saved "$d/two.tar" local/b:1 local/b:2 "$IMAGES/config"
	# shellcheck disable=SC2086
	{
		run -0 podman $store --events-backend none load -q -i "$d/one.tar"
		run -0 podman $store --events-backend none load -q -i "$d/two.tar"
		run -0 podman $store --events-backend none images --no-trunc --format '{{.Id}}'
		has "$output" "${id#sha256:}"
		podman $store --events-backend none save -q -o "$d/podman.tar" "${id#sha256:}"
		podman $store --events-backend none save -q --format oci-archive -o "$d/podman-oci.tar" "${id#sha256:}"
		run -0 buildah $store pull -q --policy always "docker-archive:$d/two.tar:local/b:2"
		is "$output" "${id#sha256:}"
		buildah $store push -q "${id#sha256:}" "oci-archive:$d/buildah.tar:local/buildah:1"
	}
	# one of several platforms: ours
	skopeo --insecure-policy copy -q --all --src-tls-verify=false "docker://$IMAGES/platforms:latest" "oci-archive:$d/platforms.tar:local/platforms:1"
	loaded "$d/platforms.tar" 'Loaded image: local/platforms:1'
	is "$(caisson image inspect --format '{{.Architecture}}' local/platforms:1)" amd64
	skopeo --insecure-policy copy -q "oci-archive:$d/one.tar:docker.io/local/b:1" "docker-archive:$d/skopeo.tar:local/skopeo:1"
	skopeo --insecure-policy copy -q "docker-archive:$d/two.tar:local/b:2" "oci-archive:$d/skopeo-oci.tar:local/skopeo:2"
	loaded "$d/podman.tar" "Loaded image ID: $id"
	run -0 caisson load -i "$d/podman-oci.tar"
	has "$output" 'Loaded image'
	loaded "$d/skopeo.tar" 'Loaded image: local/skopeo:1'
	loaded "$d/skopeo-oci.tar" 'Loaded image: local/skopeo:2'
	loaded "$d/buildah.tar" 'Loaded image: local/buildah:1'
	is "$(id_of_image local/skopeo:1)" "$id"
	# podman and buildah write the configuration anew; the layer is the same
	is "$(caisson image inspect --format '{{.RootFS.Layers}}' local/buildah:1)" "$(caisson image inspect --format '{{.RootFS.Layers}}' "$IMAGE")"
	caisson images -q 'local/*' > /dev/null
}

@test "docker reads ours, and we read docker's" {
	requires dockerd /usr/bin/docker
	local d=$BATS_TEST_TMPDIR id
	id=$(id_of_image "$IMAGE")
	saved "$d/two.tar" local/b:1 local/b:2 "$IMAGES/config"
	/usr/sbin/dockerd --data-root "$d/data" --exec-root "$d/exec" -H "unix://$d/s" --pidfile "$d/pid" --bridge none --iptables=false --ip6tables=false \
		--storage-driver vfs > "$d/log" 2>&1 3>&- &
	local dockerd=$!
	export DOCKER_HOST=unix://$d/s
	eventually 30 /usr/bin/docker version || skip "dockerd does not start here: $(tail -n 1 "$d/log")"
	run -0 /usr/bin/docker load -i "$d/two.tar"
	is "$output" $'Loaded image: local/b:1\nLoaded image: local/b:2\nLoaded image: '"$IMAGES/config:latest"
	is "$(/usr/bin/docker image inspect --format '{{.Id}}' local/b:2)" "$id"
	/usr/bin/docker save -o "$d/docker.tar" local/b "$IMAGES/config"
	/usr/bin/docker save "${id#sha256:}" > "$d/id.tar"
	kill $dockerd
	eventually 20 gone $dockerd
	unset DOCKER_HOST
	caisson rmi "$IMAGES/config" > /dev/null
	run -0 caisson load -i "$d/docker.tar"
	has "$output" 'Loaded image: local/b:1'
	has "$output" "Loaded image: $IMAGES/config:latest"
	loaded "$d/id.tar" "Loaded image ID: $id"
	saved "$d/again.tar" "$IMAGES/config"
}

@test "kill -9 in the middle of pull, load and save leaves nothing, and the next command works" {
	local d=$BATS_TEST_TMPDIR i pid took start what
	saved "$d/a.tar" "$IMAGES/layers" "$IMAGES/config"
	for what in load save pull; do
		took=
		for i in 0 1 2 3 4 5 6; do
			[ $what = save ] || caisson rmi "$IMAGES/layers" "$IMAGES/config" > /dev/null 2>&1 || true
			start=$(date +%s%N)
			case $what in
			load) "$CAISSON" load -i "$d/a.tar" > /dev/null 2>&1 & ;;
			save) "$CAISSON" save -o "$d/b.tar" "$IMAGES/layers" "$IMAGES/config" > /dev/null 2>&1 & ;;
			pull) "$CAISSON" pull -q "$IMAGES/layers" > /dev/null 2>&1 & ;;
			esac
			pid=$!
			if [ -z "$took" ]; then # the first goes on to its end, and says how long that takes
				wait $pid
				took=$((($(date +%s%N) - start) / 1000000))
				rm -f "$d/b.tar"
				continue
			fi
			sleep "$(printf '0.%03d' $((i * took / 7)))"
			# shellcheck disable=SC2046
			kill -9 $(descendants $pid) $pid 2> /dev/null || true
			wait $pid || true
			[ ! -e "$d/b.tar" ] || cmp "$d/a.tar" "$d/b.tar"
			is "$(find "$d" -name '.caisson-*')" ''
			rm -f "$d/b.tar"
		done
		case $what in
		load) caisson load -i "$d/a.tar" > /dev/null ;;
		save) saved "$d/b.tar" "$IMAGES/layers" "$IMAGES/config" ;;
		pull) caisson pull -q "$IMAGES/layers" > /dev/null ;;
		esac
	done
	nothing_stray
}

@test "a full disk: load and save say so, leave nothing, and work when there is room" {
	local d=$BATS_TEST_TMPDIR
	saved "$d/a.tar" "$IMAGES/layers" "$IMAGES/config"
	mkdir "$d/small" "$d/out"
	# the mounts are in a namespace that ends with this shell
	run -0 unshare -m sh -eu -c '
		mount -t tmpfs -o size=6m tmpfs "$2/small"
		mount -t tmpfs -o size=2m tmpfs "$2/out"
		! "$1" save -o "$2/out/x.tar" "$3/layers" 2> "$2/save"
		ls -A "$2/out" > "$2/out-left"
		export CAISSON_ROOT=$2/small
		! "$1" load -i "$2/a.tar" 2> "$2/load"
		"$1" images -q > "$2/images"
		mount -o remount,size=64m tmpfs "$2/small"
		"$1" load -i "$2/a.tar"
		find "$2/small/blobs" -name "tmp-*"' sh "$CAISSON" "$d" "$IMAGES"
	is "$output" "Loaded image: $IMAGES/layers:latest"$'\n'"Loaded image: $IMAGES/config:latest"
	has "$(cat "$d/save")" 'No space left on device'
	is "$(cat "$d/out-left")" ''
	matches "$(cat "$d/load")" 'No space left on device'
	is "$(cat "$d/images")" ''
}

@test "images: filters, digests, rows" {
	local one two
	mkdir -p "$BATS_TEST_TMPDIR/r"
	touch -d 2001-01-01T00:00:00Z "$BATS_TEST_TMPDIR/r/x" "$BATS_TEST_TMPDIR/r"
	tar -C "$BATS_TEST_TMPDIR/r" -cf - . | caisson import --change 'LABEL a=b c=d' - local/old > /dev/null
	# a name that moved leaves an image without one
	tar -C "$BATS_TEST_TMPDIR/r" -cf - . | caisson import --change 'LABEL a=x' - local/old > /dev/null
	run -0 caisson images --filter dangling=true --format '{{.Repository}}:{{.Tag}}'
	is "$output" '<none>:<none>'
	one=$(caisson images -q --no-trunc --filter label=a=b)
	two=$(caisson images -q --no-trunc --filter label=a=x)
	[ "$one" != "$two" ]
	is "$(caisson images -q --no-trunc --filter label=a --filter label=c=d)" "$one"
	is "$(caisson images -q --no-trunc --filter dangling=true)" "$one"
	run -0 caisson images --filter dangling=0 --format '{{.ID}}' --no-trunc
	hasnt "$output" "$one"
	has "$output" "$two"
	run -0 caisson images --filter since=local/old --format '{{.Repository}}:{{.Tag}}'
	has "$output" "$IMAGE:latest"
	hasnt "$output" local/old
	is "$(caisson images -q --no-trunc --filter before="$IMAGE" local/old)" "$two"
	is "$(caisson images -q --no-trunc --filter until=2001-06-01T00:00:00 local/old)" "$two"
	is "$(caisson images -q --filter since="$two" local/old)" ''
	# only the names that match, and a row for each name
	is "$(caisson images local/b:1 --format '{{.Repository}}:{{.Tag}}')" local/b:1
	is "$(caisson images -q local/b | wc -l)" 2
	is "$(caisson images 'local/*' --filter label=a --format '{{.Repository}}')" local/old
	run -0 caisson images --digests "$IMAGE"
	matches "${lines[0]}" '^REPOSITORY +TAG +DIGEST +IMAGE ID +CREATED +SIZE$'
	matches "${lines[1]}" "^$IMAGE +latest +sha256:[0-9a-f]{64} +[0-9a-f]{12} "
	is "$(caisson images --format '{{.Digest}}' local/b:1)" '<none>'
	run -1 caisson images --filter foo=bar
	has "$output" "invalid filter 'foo'"
	run -1 caisson images --filter dangling=x
	has "$output" "invalid filter 'dangling=[x]'"
	run -1 caisson images --filter before=nosuch
	has "$output" 'No such image: nosuch'
	caisson rmi "$one" local/old > /dev/null
}

@test "an image with a digest alone shows its repository" {
	local digest
	digest=$(caisson image inspect --format '{{index .RepoDigests 0}}' "$IMAGES/config")
	caisson rmi "$IMAGES/config" > /dev/null
	caisson pull -q "$digest" > /dev/null
	run -0 caisson images --format '{{.Repository}} {{.Tag}}' "$IMAGES/config"
	is "$output" "$IMAGES/config <none>"
	run -0 caisson images --digests --format '{{.Repository}} {{.Tag}} {{.Digest}}' "$IMAGES/config"
	is "$output" "$IMAGES/config <none> ${digest#*@}"
	caisson rmi "$digest" > /dev/null
	caisson pull -q "$IMAGES/config" > /dev/null
}

@test "image prune: dangling images, all of them, filters, the question, the room that it made" {
	mkdir -p "$BATS_TEST_TMPDIR/r"
	head -c 100000 /dev/urandom > "$BATS_TEST_TMPDIR/r/x"
	local tar=$BATS_TEST_TMPDIR/r.tar old new
	caisson image prune -f > /dev/null
	tar -C "$BATS_TEST_TMPDIR/r" -cf "$tar" .
	old=$(caisson import --change 'LABEL k=1' "$tar" local/p)
	new=$(caisson import --change 'LABEL k=2' "$tar" local/p)
	run -0 caisson image prune <<< n
	is "$output" $'WARNING! This will remove all dangling images.\nAre you sure you want to continue? [y/N] Total reclaimed space: 0B'
	run -0 caisson image prune -f --filter label=k=2
	is "$output" 'Total reclaimed space: 0B'
	run -0 caisson image prune -f --filter until=24h --filter 'label!=k=1'
	is "$output" 'Total reclaimed space: 0B'
	# the other image has the same layer
	run -0 caisson image prune <<< y
	is "$output" $'WARNING! This will remove all dangling images.\nAre you sure you want to continue? [y/N] Deleted Images:\n'"deleted: $old"$'\n\nTotal reclaimed space: 0B'
	run -1 caisson image inspect "$old"
	run -0 caisson image inspect "$new"
	# one that a container has stays
	caisson create --name user local/p /x > /dev/null
	run -0 caisson image prune -a -f --filter label=k
	is "$output" 'Total reclaimed space: 0B'
	caisson rm user > /dev/null
	run -0 caisson image prune -a <<< n
	has "$output" 'WARNING! This will remove all images without at least one container associated to them.'
	run -0 caisson image prune -a -f --filter label=k
	is "${lines[1]}" 'untagged: local/p:latest'
	is "${lines[2]}" "deleted: $new"
	# unpacked and packed
	is "${lines[3]}" "Total reclaimed space: $(python3 -c 'import os, sys; n = 100000 + os.path.getsize(sys.argv[1]); print(f"{n / 1000:.4g}kB")' "$tar")"
	nothing_stray
	run -1 caisson image prune -f --filter foo=x
	has "$output" "invalid filter 'foo'"
	# all: the store is empty
	run -0 caisson image prune -af
	has "$output" "untagged: $IMAGE:latest"
	is "$(find "$CAISSON_ROOT/blobs" "$CAISSON_ROOT/layers" -mindepth 1 ! -name .lock)" ''
}
