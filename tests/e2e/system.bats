# The command itself: help, version, info, doctor, kernels. The mode plays no part.
load lib

@test "--help of every command names its options" {
	run -0 caisson --help
	has "$output" run
	has "$output" doctor
	local verb
	for verb in run create start stop kill rm ps logs inspect exec attach wait top info version doctor images pull import rmi; do
		run -0 caisson $verb --help
		has "$output" "caisson $verb"
	done
}

@test "version" {
	run -0 --separate-stderr caisson version
	matches "$output" 'Version: +[0-9]+\.[0-9]+'
	run -0 --separate-stderr caisson --version
	matches "$output" '[0-9]+\.[0-9]+\.[0-9]+'
	run -0 --separate-stderr caisson version --format '{{.Client.Version}}'
	matches "$output" '^[0-9]+\.[0-9]+\.[0-9]+$'
}

@test "info: docker's lines and ours" {
	run -0 --separate-stderr caisson info
	has "$output" 'Containers: 0'
	has "$output" 'Default Isolation: process'
	has "$output" "Kernel Version: $(uname -r)"
	run -0 --separate-stderr caisson info --format '{{.DockerRootDir}}'
	is "$output" "$CAISSON_ROOT"
	run -0 --separate-stderr sh -c "'$CAISSON' info --format json | python3 -m json.tool > /dev/null"
}

@test "doctor: a line per need, the remedy where something is missing, the exit code" {
	run --separate-stderr caisson doctor
	has "$output" process
	has "$output" hyperv
	[ "$status" -eq 1 ] || fail "without a kernel for utility VMs doctor says $status"
	has "$output" 'caisson kernel update'
	ln -s "$E2E_FIXTURES/root/kernel" "$CAISSON_ROOT/kernel"
	run -0 --separate-stderr caisson doctor
	rm "$CAISSON_ROOT/kernel"
	run --separate-stderr env PATH=/nowhere "$CAISSON" doctor
	has "$output" qemu
}

@test "kernel ls" {
	ln -s "$E2E_FIXTURES/root/kernel" "$CAISSON_ROOT/kernel"
	run -0 --separate-stderr caisson kernel ls
	matches "$output" '[0-9]+\.[0-9]+'
	rm "$CAISSON_ROOT/kernel"
}

@test "a kernel that was built here goes first, and info, doctor and kernel ls say so" {
	local version
	for version in 6.1.0-99-cloud-amd64 0.1-1-caisson; do
		mkdir -p "$CAISSON_ROOT/kernel/$version"
		echo image > "$CAISSON_ROOT/kernel/$version/vmlinuz"
	done
	run -0 --separate-stderr caisson kernel ls
	matches "${lines[1]}" '^0\.1-1-caisson +built here +yes'
	matches "${lines[2]}" '^6\.1\.0-99-cloud-amd64 +distribution'
	run -0 --separate-stderr caisson info
	has "$output" 'Guest Kernel: 0.1-1-caisson'
	has "$output" "Origin: built here by 'make kernel'"
	run --separate-stderr caisson doctor
	has "$output" "guest kernel: 0.1-1-caisson, built here by 'make kernel'"
	if apt-cache show linux-source > /dev/null 2>&1; then
		has "$output" "run 'make kernel'"
	fi
	rm -r "$CAISSON_ROOT/kernel/0.1-1-caisson"
	is "$(caisson info --format '{{.GuestKernel}}, {{.GuestKernelOrigin}}')" "6.1.0-99-cloud-amd64, the distribution's"
	rm -r "$CAISSON_ROOT/kernel"
}

@test "kernel use: a version, a file, and back; the configuration goes first" {
	local version own=$E2E_DIR/own
	for version in 6.1.0-98-cloud-amd64 6.1.0-99-cloud-amd64; do
		mkdir -p "$CAISSON_ROOT/kernel/$version"
		echo image > "$CAISSON_ROOT/kernel/$version/vmlinuz"
	done
	caisson kernel use 6.1.0-98-cloud-amd64
	is "$(caisson info --format '{{.GuestKernel}}')" 6.1.0-98-cloud-amd64
	matches "$(caisson kernel ls)" $'6\\.1\\.0-99-cloud-amd64 +distribution *\n6\\.1\\.0-98-cloud-amd64 +distribution +yes'
	run -1 --separate-stderr caisson kernel use 6.1.0-97-cloud-amd64
	has "$stderr" "no guest kernel 6.1.0-97-cloud-amd64: 'caisson kernel ls' lists them"
	mkdir "$own" && cp "$(find "$E2E_FIXTURES/root/kernel/" -name vmlinuz | head -1)" "$own/mine"
	( cd "$own" && caisson kernel use ./mine )
	is "$(caisson info --format '{{.GuestKernel}} {{.GuestKernelOrigin}}')" "mine chosen by 'caisson kernel use'"
	matches "$(caisson kernel ls)" "$own/mine +chosen by 'caisson kernel use' +yes"
	run -1 --separate-stderr caisson kernel use "$CAISSON_ROOT/kernel/6.1.0-99-cloud-amd64/vmlinuz"
	has "$stderr" 'not a Linux kernel'
	run -1 --separate-stderr caisson kernel use /nowhere/vmlinuz
	has "$stderr" 'No such file'
	is "$(caisson info --format '{{.GuestKernel}}')" mine # what is refused changes nothing
	caisson kernel use 6.1.0-98-cloud-amd64
	rm -r "$CAISSON_ROOT/kernel/6.1.0-98-cloud-amd64"
	run --separate-stderr caisson doctor
	has "$output" "guest kernel 6.1.0-98-cloud-amd64, which 'caisson kernel use' chose, has gone"
	caisson kernel use auto
	is "$(caisson info --format '{{.GuestKernel}}')" 6.1.0-99-cloud-amd64
	echo "kernel = $own/mine" >> "$CAISSON_CONFIG"
	run -1 --separate-stderr caisson kernel use 6.1.0-99-cloud-amd64
	has "$stderr" "the configuration's 'kernel = $own/mine' goes before it"
	sed -i '/^kernel/d' "$CAISSON_CONFIG"
	caisson kernel use auto
	rm -r "$CAISSON_ROOT/kernel"
}

@test "doctor says when apt has a newer kernel, and asks nobody but apt's lists" {
	mkdir -p "$E2E_DIR/bin" "$CAISSON_ROOT/kernel/6.1.0-50-cloud-amd64"
	echo image > "$CAISSON_ROOT/kernel/6.1.0-50-cloud-amd64/vmlinuz"
	printf '#!/bin/sh\n[ "$1" = show ] || { touch "%s/asked"; exit 1; }\nprintf "Package: x\\nDepends: linux-image-%%s\\n" "$KERNEL"\n' "$E2E_DIR" > "$E2E_DIR/bin/apt-cache"
	printf '#!/bin/sh\ntouch "%s/asked"\nexit 1\n' "$E2E_DIR" > "$E2E_DIR/bin/apt-get"
	chmod +x "$E2E_DIR/bin/apt-cache" "$E2E_DIR/bin/apt-get"
	run --separate-stderr env KERNEL=6.1.0-51-cloud-amd64 PATH="$E2E_DIR/bin:$PATH" "$CAISSON" doctor
	has "$output" "6.1.0-50-cloud-amd64 is in use, and apt has 6.1.0-51-cloud-amd64: run 'caisson kernel update'"
	local kernel
	for kernel in 6.1.0-50-cloud-amd64 6.1.0-49-cloud-amd64; do
		run --separate-stderr env KERNEL=$kernel PATH="$E2E_DIR/bin:$PATH" "$CAISSON" doctor
		hasnt "$output" 'and apt has'
	done
	printf '#!/bin/sh\nexit 100\n' > "$E2E_DIR/bin/apt-cache" # apt has no lists
	run --separate-stderr env PATH="$E2E_DIR/bin:$PATH" "$CAISSON" doctor
	hasnt "$output" 'and apt has'
	[ ! -e "$E2E_DIR/asked" ] || fail 'more was asked'
	rm -r "$CAISSON_ROOT/kernel"
}

@test "debugging traces one area" {
	run -0 --separate-stderr env CAISSON_DEBUG=image "$CAISSON" images
	hasnt "$stderr" proto:
}
