# cmake -DOUT=x.cpp -DGROUP=chips "-DFILES=a;b" -P embed_file.cmake
# A compiler need not take a string literal of more than 65,536 characters: longer texts become adjacent raw literals.
set(kPiece 16000)
set(entries "")
list(LENGTH FILES count)
foreach(file IN LISTS FILES)
  file(READ ${file} text)
  get_filename_component(name ${file} NAME)
  string(LENGTH "${text}" length)
  set(literals "")
  set(position 0)
  while(position LESS length)
    string(SUBSTRING "${text}" ${position} ${kPiece} piece)
    string(APPEND literals "\n     R\"embed(${piece})embed\"")
    math(EXPR position "${position} + ${kPiece}")
  endwhile()
  string(APPEND entries "    Embedded{\"${name}\",${literals}},\n")
endforeach()
file(WRITE ${OUT} "#include <array>

#include <traincost/catalog/embedded.hpp>

namespace traincost::catalog {
std::span<const Embedded> embedded_${GROUP}() {
  static constexpr std::array<Embedded, ${count}> kFiles{{
${entries}  }};
  return kFiles;
}
}  // namespace traincost::catalog
")
