# cmake -DOUT=x.cpp -DGROUP=chips "-DFILES=a;b" -P embed_file.cmake
# A compiler need not take a string literal of more than 65,536 characters: longer texts become adjacent raw literals.
set(kPiece 16000)
set(entries "")
set(texts "")
set(index 0)
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
  # An array knows its length: measuring a megabyte at compile time exceeds the limit of constexpr steps.
  string(APPEND texts "constexpr char kText${index}[] =${literals};\n")
  string(APPEND entries "    Embedded{\"${name}\", {kText${index}, sizeof(kText${index}) - 1}},\n")
  math(EXPR index "${index} + 1")
endforeach()
file(WRITE ${OUT} "#include <array>

#include <traincost/catalog/embedded.hpp>

namespace traincost::catalog {
namespace {
${texts}}  // namespace
std::span<const Embedded> embedded_${GROUP}() {
  static constexpr std::array<Embedded, ${count}> kFiles{{
${entries}  }};
  return kFiles;
}
}  // namespace traincost::catalog
")
