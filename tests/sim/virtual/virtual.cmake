# cox_virtual(TARGET): the linker leads the clocks and the kernel's randomness into tests/sim/virtual.
# The target's sources name $<TARGET_OBJECTS:tests_sim_virtual>, so that the loop and the HTTP client
# that are in there come before those of the libraries.
function(cox_virtual target)
	foreach(symbol cox_clock_ms cox_clock_us cox_clock_wall_ms cox_clock_wall_us cox_random_bytes cox_uuid_new)
		target_link_options(${target} PRIVATE -Wl,--wrap=${symbol})
	endforeach()
endfunction()
