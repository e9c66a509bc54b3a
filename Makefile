# The few commands of the README. The build itself is meson's; see meson.build.
#   make demo | check | build | kernel | install | bench | clean
prefix ?= /usr/local
DESTDIR ?=
BUILD ?= build

.PHONY: help deps build demo check kernel install bench clean

help:
	@echo 'make demo      install what is needed, build, and show one image in both modes'
	@echo 'make check     run every test'
	@echo 'make build     build into $(BUILD)/'
	@echo 'make kernel    build a smaller kernel for virtual machines, some minutes (CAISSON_ROOT is honoured)'
	@echo 'make install   install (DESTDIR and prefix are honoured)'
	@echo 'make bench     measure beside podman, docker, crun and runc'
	@echo 'make clean     remove what was built'

deps:
	@tools/install-deps build

$(BUILD)/build.ninja:
	@meson setup $(BUILD) --prefix=$(prefix) > $(BUILD).log 2>&1 || { cat $(BUILD).log; rm -f $(BUILD).log; exit 1; }
	@rm -f $(BUILD).log

build: deps
	@$(MAKE) --no-print-directory $(BUILD)/build.ninja
	@ninja -C $(BUILD) --quiet

demo: build
	@tools/demo $(BUILD)

check:
	@tools/check

kernel:
	@tools/build-kernel

install: build
	@meson configure $(BUILD) -Dprefix=$(prefix)
	@DESTDIR=$(DESTDIR) meson install -C $(BUILD) --quiet

bench: build
	@tools/install-deps bench
	@bench/run $(BUILD)/caisson

clean:
	rm -rf build build-*
