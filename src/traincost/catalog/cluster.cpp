#include <algorithm>

#include <traincost/catalog/cluster.hpp>
#include <traincost/catalog/embedded.hpp>
#include <traincost/catalog/text_file.hpp>
#include <traincost/catalog/toml_table.hpp>

namespace traincost::catalog {
namespace {

std::vector<Cluster> read_embedded() {
  std::vector<Cluster> all;
  all.reserve(embedded_clusters().size());
  for (const Embedded& file : embedded_clusters()) all.push_back(parse_cluster(file.text, std::string(file.name)));
  std::sort(all.begin(), all.end(), [](const Cluster& a, const Cluster& b) { return a.id < b.id; });
  return all;
}

double required_positive(TomlTable& table, const std::string& key) {
  const auto value = table.positive_figure(key);
  if (!value) table.refuse(key, "a positive number");
  return *value;
}

/// At least one GPU, and whole ones.
double gpu_count(TomlTable& table, const std::string& key) {
  const double count = required_positive(table, key);
  if (count < 1 || count != static_cast<double>(static_cast<long long>(count))) table.refuse(key, "a whole number");
  return count;
}

}  // namespace

Cluster parse_cluster(std::string_view toml, const std::string& origin) {
  TomlTable table(toml, origin);
  Cluster cluster;
  cluster.id = table.required_text("id");
  cluster.name = table.required_text("name");
  cluster.chip = table.required_text("chip");
  cluster.gpus_per_node = gpu_count(table, "gpus_per_node");
  cluster.scale_up_gpus = gpu_count(table, "scale_up_gpus");
  cluster.link_bytes_per_s = {required_positive(table, "link_bytes_per_s")};
  cluster.link_latency = {table.required_figure("link_latency_s")};
  cluster.network_bytes_per_s = {required_positive(table, "network_bytes_per_s")};
  cluster.network_latency = {table.required_figure("network_latency_s")};
  cluster.host_watts = {table.required_figure("host_watts")};
  cluster.network_name = table.required_text("network_name");
  cluster.source = table.required_text("source");
  cluster.confirmed = table.required_text("confirmed");
  table.choice("confirmed", {"yes", "partial", "derived", "announced", "rumour", "unconfirmed"}, "");
  cluster.notes = table.text("notes");
  table.finish();
  return cluster;
}

const std::vector<Cluster>& clusters() {
  static const std::vector<Cluster> kClusters = read_embedded();
  return kClusters;
}

std::vector<Cluster> clusters_with(const std::vector<std::filesystem::path>& files) {
  std::vector<Cluster> all;
  all.reserve(files.size() + clusters().size());
  for (const auto& file : files) all.push_back(parse_cluster(read_text_file(file), file.string()));
  all.insert(all.end(), clusters().begin(), clusters().end());
  return all;
}

const Cluster* find_cluster(const std::vector<Cluster>& clusters, std::string_view id) {
  const auto found = std::find_if(clusters.begin(), clusters.end(), [&](const Cluster& c) { return c.id == id; });
  return found == clusters.end() ? nullptr : &*found;
}

}  // namespace traincost::catalog
