# Every library that the house uses; the Debian packages they come from are in packages.txt.
find_package(PkgConfig REQUIRED)
find_package(Threads REQUIRED)
pkg_check_modules(YAML REQUIRED IMPORTED_TARGET yaml-0.1)
pkg_check_modules(OPENSSL REQUIRED IMPORTED_TARGET libssl libcrypto)
pkg_check_modules(EVENT REQUIRED IMPORTED_TARGET libevent_core libevent_extra libevent_openssl
	libevent_pthreads)
pkg_check_modules(SQLITE REQUIRED IMPORTED_TARGET sqlite3)
pkg_check_modules(ZSTD REQUIRED IMPORTED_TARGET libzstd)
pkg_check_modules(PCRE2 REQUIRED IMPORTED_TARGET libpcre2-8)
pkg_check_modules(CURL REQUIRED IMPORTED_TARGET libcurl)
pkg_check_modules(GIT2 REQUIRED IMPORTED_TARGET libgit2)
pkg_check_modules(PROTOBUFC REQUIRED IMPORTED_TARGET libprotobuf-c)
pkg_check_modules(LUA REQUIRED IMPORTED_TARGET lua5.4)
pkg_check_modules(CMOCKA REQUIRED IMPORTED_TARGET cmocka)
find_library(NNG_LIBRARY nng REQUIRED)
find_library(JQ_LIBRARY jq REQUIRED)
find_program(PROTOC_C protoc-c REQUIRED)

# protobuf-c's generated code is not ours to judge.
function(cox_proto_library name)
	set(sources)
	foreach(proto IN LISTS ARGN)
		get_filename_component(stem ${proto} NAME_WE)
		set(out ${CMAKE_BINARY_DIR}/proto/${stem}.pb-c)
		add_custom_command(OUTPUT ${out}.c ${out}.h
			COMMAND ${PROTOC_C} --proto_path=${CMAKE_SOURCE_DIR} --c_out=${CMAKE_BINARY_DIR}
				proto/${proto}
			DEPENDS ${CMAKE_SOURCE_DIR}/proto/${proto} VERBATIM)
		list(APPEND sources ${out}.c)
		set_source_files_properties(${out}.c PROPERTIES COMPILE_OPTIONS "-w")
	endforeach()
	add_library(${name} STATIC ${sources})
	target_include_directories(${name} SYSTEM PUBLIC ${CMAKE_BINARY_DIR})
	target_link_libraries(${name} PUBLIC PkgConfig::PROTOBUFC)
endfunction()
