#pragma once

#include <map>
#include <set>
#include <string>

namespace traincost::bench {

/// How the rows were taken: chip, driver, clocks, commit, ...; merged into Google Benchmark's own context.
using Context = std::map<std::string, std::string>;

/// Rows as they are finished, one JSON object a line, each appended in one write: a run that is killed loses the row
/// that it was taking and no other. The first line is the context.
class Journal {
 public:
  /// Takes up `path` where it ends, a torn last line dropped, or begins it. Throws InputError when the file was taken
  /// elsewhere: another value of one of the context's keys `same`.
  Journal(std::string path, Context context, const std::set<std::string>& same);
  ~Journal();
  Journal(const Journal&) = delete;
  Journal& operator=(const Journal&) = delete;

  [[nodiscard]] const Context& context() const { return context_; }
  /// The names of the rows that are there; one that ended in an error is not.
  [[nodiscard]] const std::set<std::string>& finished() const { return finished_; }

  /// `google_context`: the object that Google Benchmark writes; used when the file is new.
  void begin(const std::string& google_context);
  void append(const std::string& row);

  /// Google Benchmark's file out of what is there, in place of an older one at once.
  void write_results(const std::string& path) const;

 private:
  void append_line(const std::string& line);

  std::string path_;
  Context context_;
  std::set<std::string> finished_;
  bool has_context_ = false;
  int file_ = -1;
};

/// A benchmark's name without what Google Benchmark adds: "/iterations:1/manual_time".
std::string plain_name(const std::string& name);

}  // namespace traincost::bench
