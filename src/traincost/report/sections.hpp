#pragma once

#include <string>
#include <vector>

#include <traincost/report/table.hpp>

namespace traincost::report {

/// One titled table of an answer that has several. A record has one row and reads as name and value.
struct Section {
  std::string key, title;
  Table table;
  bool is_record = false;
};

/// Table: all sections with their titles. JSON: one object, a key per section. CSV: the first section alone.
std::string render(const std::vector<Section>& sections, Format format);

/// A section of one text column.
Section notes(std::string key, std::string title, const std::vector<std::string>& lines);

}  // namespace traincost::report
