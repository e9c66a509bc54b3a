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

@test "debugging traces one area" {
	run -0 --separate-stderr env CAISSON_DEBUG=image "$CAISSON" images
	hasnt "$stderr" proto:
}
