#pragma once

#include <string>
#include <string_view>

namespace traincost::catalog {

/// The part of a chip's name that names the chip, for comparing: lower case, "-" and "_" as blanks, without the maker's
/// name before it and without what only says where or how many ("(Azure ND A100 v4)", "x8") after it.
/// "NVIDIA A100-SXM4-80GB (Azure ND A100 v4)" -> "a100 sxm4 80gb".
std::string plain_chip_name(std::string_view name);

}  // namespace traincost::catalog
