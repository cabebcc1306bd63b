#include <traincost/scenario/classify.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace traincost::scenario {
namespace {

bool is_asked_for(const Rule& rule, const Question& question) {
  return std::ranges::find(question.hypothetical, rule.id) != question.hypothetical.end();
}

std::vector<RuleFinding> find(const RuleFigures& figures, const Question& question, const std::vector<Rule>& rules) {
  std::vector<RuleFinding> findings;
  for (const auto& rule : rules) {
    if (rule.subject != Subject::chip || (rule.logic.empty() && rule.named_chips.empty())) continue;
    if (!covers(rule, question.deal)) continue;
    const auto text = text_state(rule, question.as_of);
    const bool is_asked = is_asked_for(rule, question);
    if (text != TextState::in_force && !is_asked) continue;
    findings.push_back({.rule = &rule,
                        .finding = evaluate(rule, figures, question.as_of),
                        .text = text,
                        .enforcement = enforcement(rule, question.as_of),
                        .counts = is_asked || is_enforced(rule, question.as_of)});
  }
  return findings;
}

bool is_control(const RuleFinding& f) { return f.counts && f.rule->effect == Effect::control; }

struct Decision {
  const RuleFinding* control = nullptr;  // the highest rank that holds; nullptr: none
  const RuleFinding* relief = nullptr;
  const RuleFinding* open = nullptr;  // a control of higher rank that a missing figure leaves open
};

Decision decide(const std::vector<RuleFinding>& findings) {
  Decision decision;
  const auto rank = [](const RuleFinding* f) { return f ? f->rule->rank : -1; };
  for (const auto& f : findings) {
    if (is_control(f) && f.finding.verdict == Verdict::yes && f.rule->rank > rank(decision.control))
      decision.control = &f;
    if (f.counts && f.rule->effect == Effect::relief && f.finding.verdict == Verdict::yes) decision.relief = &f;
  }
  for (const auto& f : findings)
    if (is_control(f) && f.finding.verdict == Verdict::unknown && f.rule->rank > rank(decision.control) &&
        f.rule->rank > rank(decision.open))
      decision.open = &f;
  return decision;
}

std::string missing_text(const RuleFinding& f) {
  std::string text;
  for (const auto figure : f.finding.missing) text += fmt::format("{}{}", text.empty() ? "" : ", ", to_string(figure));
  return text;
}

std::string test_text(const RuleFinding& f) {
  return f.finding.deciding ? to_string(*f.finding.deciding) : "names the chip";
}

std::string class_of(const Decision& decision) {
  if (decision.open) return "refused";
  return decision.control ? decision.control->rule->class_name : kNotControlled;
}

std::vector<Headroom> headroom(const RuleFigures& figures, const std::vector<RuleFinding>& findings) {
  std::vector<Headroom> lines;
  for (const auto& f : findings) {
    if (!f.counts) continue;
    for (const auto& clause : f.rule->logic)
      for (const auto& test : clause.all) {
        if (test.figure == Figure::is_datacenter) continue;
        const bool is_known = std::ranges::any_of(lines, [&](const Headroom& line) {
          return line.rule == f.rule->id && line.figure == test.figure && line.threshold == test.threshold;
        });
        if (is_known) continue;
        const auto& value = figures[test.figure];
        lines.push_back({.rule = f.rule->id,
                         .figure = test.figure,
                         .compare = test.compare,
                         .threshold = test.threshold,
                         .value = value,
                         .below_line = value ? std::optional<double>{test.threshold - *value} : std::nullopt});
      }
  }
  return lines;
}

std::string tpp_text(const RuleFigures& figures) {
  const auto& tpp = figures[Figure::tpp];
  return tpp ? fmt::format("{:.1f}", *tpp) : "unknown";
}

// Findings of the same rules in the same order, under another reading.
std::string difference(const std::vector<RuleFinding>& base, const std::vector<RuleFinding>& other) {
  std::string text;
  for (std::size_t i = 0; i < base.size(); ++i)
    if (base[i].counts && base[i].finding.verdict != other[i].finding.verdict)
      text += fmt::format("{}{}: {} -> {}", text.empty() ? "" : "; ", base[i].rule->id,
                          to_string(base[i].finding.verdict), to_string(other[i].finding.verdict));
  return text;
}

Sensitivity sensitivity(std::string name, const catalog::Chip& chip, Question question, const Reading& reading,
                        const std::vector<RuleFinding>& base, const std::vector<Rule>& rules) {
  question.reading = reading;
  const auto figures = rule_figures(chip, reading);
  const auto findings = find(figures, question, rules);
  const auto what = difference(base, findings);
  return {.reading = std::move(name),
          .tpp = tpp_text(figures),
          .class_name = class_of(decide(findings)),
          .flips = !what.empty(),
          .what = what};
}

std::vector<Sensitivity> sensitivities(const catalog::Chip& chip, const Question& question,
                                       const std::vector<RuleFinding>& base, const std::vector<Rule>& rules) {
  std::vector<Sensitivity> rows;
  const auto add = [&](std::string name, const Reading& reading) {
    rows.push_back(sensitivity(std::move(name), chip, question, reading, base, rules));
  };
  if (chip.tf32_dense_flops) {
    Reading reading = question.reading;
    reading.tf32_bits = reading.tf32_bits == 32 ? 19 : 32;
    add(fmt::format("TF32 as {} bits", reading.tf32_bits), reading);
  }
  if (chip.published_tpp) {
    Reading reading = question.reading;
    reading.tpp_source = reading.tpp_source == TppSource::vendor ? TppSource::data_sheet : TppSource::vendor;
    add(reading.tpp_source == TppSource::vendor ? "the vendor's TPP" : "TPP from the data sheet", reading);
  }
  return rows;
}

// The class can change only where TPP / area crosses a density that a rule names.
DieAreaRange die_area_range(const catalog::Chip& chip, const Question& question, const RuleFigures& figures,
                            const std::string& class_name, const std::vector<Rule>& rules) {
  constexpr double kAreaDoubt = 0.10;  // published areas of one die differ by up to this much
  DieAreaRange range{.stated = question.reading.die_area_mm2 ? question.reading.die_area_mm2 : chip.die_area_mm2};
  const auto& tpp = figures[Figure::tpp];
  if (!tpp || !range.stated) return range;
  const auto class_at = [&](double area) {
    Question other = question;
    other.reading.die_area_mm2 = area;
    return class_of(decide(find(rule_figures(chip, other.reading), other, rules)));
  };
  constexpr double kNudge = 1e-6;
  for (const auto& f : find(figures, question, rules))
    for (const auto& clause : f.rule->logic)
      for (const auto& test : clause.all) {
        if (!f.counts || test.figure != Figure::performance_density || test.threshold <= 0) continue;
        const double area = *tpp / test.threshold;
        const bool is_above = area >= *range.stated;
        if (class_at(area * (is_above ? 1 + kNudge : 1 - kNudge)) == class_name) continue;
        if (is_above && (!range.high || area < *range.high)) range.high = area;
        if (!is_above && (!range.low || area > *range.low)) range.low = area;
      }
  const auto is_near = [&](const auto& limit) {
    return limit && std::abs(*limit - *range.stated) <= kAreaDoubt * *range.stated;
  };
  range.flips_within_tenth = is_near(range.low) || is_near(range.high);
  return range;
}

std::vector<std::string> assumptions(const catalog::Chip& chip, const Question& question) {
  return {
      fmt::format("figures of the chip [{}]: {}", chip.confirmed == "yes" ? "fact" : chip.confirmed, chip.source),
      fmt::format("TF32 counts {} bits; dense rates only", question.reading.tf32_bits),
      question.reading.tpp_source == TppSource::vendor ? "TPP is the vendor's own figure where it gives one"
                                                       : "TPP is computed from the data sheet",
      "die area as published for the logic dies; all dies on non-planar processes counted",
      fmt::format("destination {}, seat of the buyer {}", to_string(question.deal.destination),
                  to_string(question.deal.headquarters)),
      "not legal advice: the lines of the published texts, nothing else",
  };
}

}  // namespace

Classification classify(const catalog::Chip& chip, const Question& question, const std::vector<Rule>& rules) {
  Classification answer{
      .chip = chip.id, .as_of = question.as_of, .deal = question.deal, .figures = rule_figures(chip, question.reading)};
  answer.findings = find(answer.figures, question, rules);
  answer.assumptions = assumptions(chip, question);
  answer.headroom = headroom(answer.figures, answer.findings);
  const auto decision = decide(answer.findings);
  if (decision.open) {
    answer.refusal = fmt::format("{}: cannot be classified on {}: {} asks for figures that are not known: {}", chip.id,
                                 to_string(question.as_of), decision.open->rule->id, missing_text(*decision.open));
    return answer;
  }
  answer.class_name = class_of(decision);
  answer.outcome = "free to sell";
  if (decision.control) {
    answer.is_licence_needed = true;
    answer.deciding_rule = decision.control->rule->id;
    answer.deciding_test = test_text(*decision.control);
    answer.outcome = decision.relief ? decision.relief->rule->outcome : decision.control->rule->outcome;
  }
  answer.sensitivities = sensitivities(chip, question, answer.findings, rules);
  answer.die_area = die_area_range(chip, question, answer.figures, answer.class_name, rules);
  answer.flips = answer.die_area.flips_within_tenth || std::ranges::any_of(answer.sensitivities, &Sensitivity::flips);
  return answer;
}

std::string_view to_string(Permission permission) {
  constexpr std::string_view kTexts[] = {"free", "case by case", "licence", "denied", "unknown"};
  return kTexts[static_cast<int>(permission)];
}

Permission permission(const catalog::Chip& chip, const Question& question, const std::vector<Rule>& rules) {
  const auto findings = find(rule_figures(chip, question.reading), question, rules);
  const auto decision = decide(findings);
  if (decision.open) return Permission::unknown;
  if (!decision.control) return Permission::free;
  if (decision.relief) return Permission::case_by_case;
  if (decision.control->enforcement == Enforcement::licensed || decision.control->rule->class_name == "3A090.b")
    return Permission::licence;
  return Permission::denied;
}

}  // namespace traincost::scenario
