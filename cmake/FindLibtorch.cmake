# Finds libtorch of the pinned version without asking for a CUDA toolkit, which the wheel's own TorchConfig.cmake wants.
# Looks in LIBTORCH_ROOT (a folder with include/ and lib/), then the cache that scripts/deps fills, then an installed
# Python torch. Defines Libtorch::Libtorch and Libtorch_VERSION.

if(NOT "$ENV{MOEBENCH_CACHE}" STREQUAL "")
  set(_moebench_cache "$ENV{MOEBENCH_CACHE}")
elseif(NOT "$ENV{XDG_CACHE_HOME}" STREQUAL "")
  set(_moebench_cache "$ENV{XDG_CACHE_HOME}/moebench")
else()
  set(_moebench_cache "$ENV{HOME}/.cache/moebench")
endif()

set(LIBTORCH_ROOT "" CACHE PATH "Folder of libtorch, with include/ and lib/")
execute_process(COMMAND python3 -c "import importlib.util as u; s = u.find_spec('torch'); print(s.submodule_search_locations[0] if s else '')"
                OUTPUT_VARIABLE _python_torch OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
set(_libtorch_candidates
    "${LIBTORCH_ROOT}" "${_moebench_cache}/libtorch-${Libtorch_FIND_VERSION}/torch" "${_python_torch}")

foreach(_candidate IN LISTS _libtorch_candidates)
  if(_candidate AND EXISTS "${_candidate}/include/torch/headeronly/version.h")
    file(STRINGS "${_candidate}/include/torch/headeronly/version.h" _version REGEX "#define TORCH_VERSION_(MAJOR|MINOR|PATCH) ")
    string(REGEX REPLACE "[^;0-9]" "" _version "${_version}")
    string(REPLACE ";" "." _version "${_version}")
    if(NOT Libtorch_FIND_VERSION OR _version VERSION_EQUAL Libtorch_FIND_VERSION)
      set(Libtorch_ROOT_DIR "${_candidate}")
      set(Libtorch_VERSION "${_version}")
      break()
    endif()
  endif()
endforeach()

# Not cached: the version must be that of the files found, on every configuration.
find_path(Libtorch_INCLUDE_DIR ATen/ATen.h NO_CACHE PATHS "${Libtorch_ROOT_DIR}/include" NO_DEFAULT_PATH)
find_library(Libtorch_CPU_LIBRARY torch_cpu NO_CACHE PATHS "${Libtorch_ROOT_DIR}/lib" NO_DEFAULT_PATH)
find_library(Libtorch_C10_LIBRARY c10 NO_CACHE PATHS "${Libtorch_ROOT_DIR}/lib" NO_DEFAULT_PATH)
include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(Libtorch
  REQUIRED_VARS Libtorch_INCLUDE_DIR Libtorch_CPU_LIBRARY Libtorch_C10_LIBRARY
  VERSION_VAR Libtorch_VERSION
  REASON_FAILURE_MESSAGE "run scripts/deps, which fetches libtorch ${Libtorch_FIND_VERSION} into ${_moebench_cache}, or set LIBTORCH_ROOT")

if(Libtorch_FOUND AND NOT TARGET Libtorch::Libtorch)
  add_library(Libtorch::Libtorch INTERFACE IMPORTED)
  # Searched last: the wheel carries its own copies of fmt and others, which must not shadow the system's.
  target_compile_options(Libtorch::Libtorch INTERFACE "SHELL:-idirafter \"${Libtorch_INCLUDE_DIR}\"")
  # at::parallel_for is a header template that runs serially in code compiled without OpenMP. As a flag, not as
  # OpenMP::OpenMP_CXX: the wheel's own libgomp is the one that is loaded.
  target_compile_options(Libtorch::Libtorch INTERFACE -fopenmp)
  target_link_options(Libtorch::Libtorch INTERFACE -fopenmp)
  target_link_libraries(Libtorch::Libtorch INTERFACE "${Libtorch_CPU_LIBRARY}" "${Libtorch_C10_LIBRARY}")
  # libcudart and libcupti are dependencies of libtorch_cpu; the loader finds them, the linker need not.
  target_link_options(Libtorch::Libtorch INTERFACE "LINKER:--allow-shlib-undefined")
  # The GPU half of an installed torch registers itself when loaded, so it must be linked although nothing names it.
  find_library(Libtorch_CUDA_LIBRARY torch_cuda NO_CACHE PATHS "${Libtorch_ROOT_DIR}/lib" NO_DEFAULT_PATH)
  if(Libtorch_CUDA_LIBRARY)
    target_link_options(Libtorch::Libtorch INTERFACE "LINKER:--no-as-needed,${Libtorch_CUDA_LIBRARY},--as-needed")
  endif()
endif()
