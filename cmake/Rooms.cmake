# cox_room(NAME SOURCES a.c b.c [DEPS room ...] [LIBS library ...])
#   a static library of this folder's files; NAME is the folder with '/' as '_' (common_base).
function(cox_room name)
	cmake_parse_arguments(ROOM "" "" "SOURCES;DEPS;LIBS" ${ARGN})
	add_library(${name} STATIC ${ROOM_SOURCES})
	target_include_directories(${name} PUBLIC ${CMAKE_SOURCE_DIR})
	target_link_libraries(${name} PUBLIC ${ROOM_DEPS} PRIVATE ${ROOM_LIBS})
	# Each public header must compile alone.
	file(GLOB headers RELATIVE ${CMAKE_SOURCE_DIR} ${CMAKE_CURRENT_SOURCE_DIR}/*.h)
	set(selfs)
	foreach(header IN LISTS headers)
		string(REPLACE "/" "_" self ${header})
		set(self ${CMAKE_BINARY_DIR}/self/${self}.c)
		file(CONFIGURE OUTPUT ${self} CONTENT "#include \"${header}\"\n#include \"${header}\"\n")
		list(APPEND selfs ${self})
	endforeach()
	if(selfs)
		add_library(${name}_headers OBJECT ${selfs})
		target_link_libraries(${name}_headers PRIVATE ${name} ${ROOM_LIBS})
	endif()
endfunction()

# cox_program(NAME SOURCES ... DEPS ...): an executable in build/bin
function(cox_program name)
	cmake_parse_arguments(PROGRAM "" "" "SOURCES;DEPS;LIBS" ${ARGN})
	add_executable(${name} ${PROGRAM_SOURCES})
	target_include_directories(${name} PRIVATE ${CMAKE_SOURCE_DIR})
	target_link_libraries(${name} PRIVATE ${PROGRAM_DEPS} ${PROGRAM_LIBS})
endfunction()

# cox_test(NAME SOURCES ... [DEPS ...] [TIMEOUT seconds]): a cmocka program that ctest runs
function(cox_test name)
	cmake_parse_arguments(TEST "" "TIMEOUT" "SOURCES;DEPS;LIBS" ${ARGN})
	if(NOT TEST_TIMEOUT)
		set(TEST_TIMEOUT 60)
	endif()
	add_executable(test_${name} ${TEST_SOURCES})
	target_include_directories(test_${name} PRIVATE ${CMAKE_SOURCE_DIR})
	target_link_libraries(test_${name} PRIVATE ${TEST_DEPS} ${TEST_LIBS} PkgConfig::CMOCKA)
	set_target_properties(test_${name} PROPERTIES
		RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/tests)
	add_test(NAME ${name} COMMAND test_${name} WORKING_DIRECTORY ${CMAKE_SOURCE_DIR})
	set_tests_properties(${name} PROPERTIES TIMEOUT ${TEST_TIMEOUT} SKIP_RETURN_CODE 77)
endfunction()

# cox_script_test(NAME SCRIPT args... ): a script that ctest runs from the source tree
function(cox_script_test name)
	cmake_parse_arguments(TEST "" "TIMEOUT" "COMMAND" ${ARGN})
	if(NOT TEST_TIMEOUT)
		set(TEST_TIMEOUT 120)
	endif()
	add_test(NAME ${name} COMMAND ${TEST_COMMAND} WORKING_DIRECTORY ${CMAKE_SOURCE_DIR})
	set_tests_properties(${name} PROPERTIES TIMEOUT ${TEST_TIMEOUT} SKIP_RETURN_CODE 77
		ENVIRONMENT "COX_BUILD=${CMAKE_BINARY_DIR}")
endfunction()

# cox_fuzz(NAME SOURCES ... DEPS ... CORPUS dir): with COX_FUZZ a libFuzzer program fuzz_NAME;
# always a ctest that replays the corpus through the same entry point.
function(cox_fuzz name)
	cmake_parse_arguments(FUZZ "" "CORPUS" "SOURCES;DEPS;LIBS" ${ARGN})
	set(driver ${CMAKE_SOURCE_DIR}/tests/fuzz/replay.c)
	if(COX_FUZZ)
		set(driver)
	endif()
	add_executable(fuzz_${name} ${FUZZ_SOURCES} ${driver})
	target_include_directories(fuzz_${name} PRIVATE ${CMAKE_SOURCE_DIR})
	target_link_libraries(fuzz_${name} PRIVATE ${FUZZ_DEPS} ${FUZZ_LIBS})
	set_target_properties(fuzz_${name} PROPERTIES
		RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/fuzz)
	if(COX_FUZZ)
		target_link_options(fuzz_${name} PRIVATE -fsanitize=fuzzer)
	else()
		add_test(NAME fuzz_replay_${name} COMMAND fuzz_${name} ${FUZZ_CORPUS}
			WORKING_DIRECTORY ${CMAKE_SOURCE_DIR})
	endif()
endfunction()

# cox_bench(NAME SOURCES ... DEPS ...): build/bench/bench_NAME, run by ./dev bench, never by ctest
function(cox_bench name)
	cmake_parse_arguments(BENCH "" "" "SOURCES;DEPS;LIBS" ${ARGN})
	add_executable(bench_${name} ${BENCH_SOURCES})
	target_include_directories(bench_${name} PRIVATE ${CMAKE_SOURCE_DIR})
	target_link_libraries(bench_${name} PRIVATE ${BENCH_DEPS} ${BENCH_LIBS})
	set_target_properties(bench_${name} PROPERTIES
		RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/bench)
endfunction()
