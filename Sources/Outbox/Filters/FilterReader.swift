// From the JSON of a filter to its rules, with errors that tell where the fault is.

/// Reads one filter.
struct FilterReader {
    private var conditions = 0

    /// The members of a filter: all of them have to hold.
    ///
    /// - Parameter place: where the filter stands in the whole, with what separates it from what follows; empty for the whole.
    mutating func rules(_ value: JSONValue, at place: String) throws(OptionError) -> [FilterRule] {
        guard case .object(let members) = value else {
            throw OptionError("\(place)expected an object, such as {\"status\": [\"paid\"]}")
        }
        guard !members.isEmpty else { throw OptionError("\(place)a filter needs a condition") }
        var rules: [FilterRule] = []
        for (name, value) in members.sorted(by: { $0.key < $1.key }) { rules.append(try rule(name, value, place)) }
        return rules
    }

    private mutating func rule(_ name: String, _ value: JSONValue, _ place: String) throws(OptionError) -> FilterRule {
        switch name {
        case "any": return .any(try group(value, "\(place)any"), place: "\(place)any")
        case "all": return .all(try group(value, "\(place)all"))
        case "none": return .none(try group(value, "\(place)none"), place: "\(place)none")
        default: return .condition(try condition(name, value, place + name.debugDescription))
        }
    }

    private mutating func group(_ value: JSONValue, _ place: String) throws(OptionError) -> [[FilterRule]] {
        guard case .array(let filters) = value, !filters.isEmpty else {
            throw OptionError("\(place): expected a list of filters; a payload's key of that name is written /…")
        }
        var lists: [[FilterRule]] = []
        for (index, filter) in filters.enumerated() { lists.append(try rules(filter, at: "\(place)[\(index)]: ")) }
        return lists
    }

    private mutating func condition(
        _ name: String, _ value: JSONValue, _ place: String
    ) throws(OptionError) -> FilterCondition {
        conditions += 1
        guard conditions <= PayloadFilter.mostConditions else {
            throw OptionError("more than \(PayloadFilter.mostConditions) conditions")
        }
        do throws(OptionError) {
            var condition = FilterCondition(place: place, path: try PayloadPath(name))
            switch value {
            case .array(let values): condition.tests = [.among(try set(values))]
            case .object(let members): try read(members, into: &condition)
            default: throw OptionError("expected a list of the values that pass, or operators such as {\"gte\": 10}")
            }
            return condition
        } catch {
            throw OptionError("\(place): \(error.reason)")
        }
    }

    private func set(_ values: [JSONValue]) throws(OptionError) -> ScalarSet {
        guard !values.isEmpty else { throw OptionError("an empty list lets nothing pass") }
        return try ScalarSet(values)
    }

    private func read(_ members: [String: JSONValue], into condition: inout FilterCondition) throws(OptionError) {
        guard !members.isEmpty else { throw OptionError("expected an operator, such as {\"gte\": 10}") }
        for (name, value) in members.sorted(by: { $0.key < $1.key }) {
            do throws(OptionError) {
                try read(name, value, into: &condition)
            } catch {
                throw OptionError("\(name): \(error.reason)")
            }
        }
        if !condition.exists, members.count > 1 {
            throw OptionError("exists: false leaves nothing for other operators")
        }
    }

    private func read(
        _ name: String, _ value: JSONValue, into condition: inout FilterCondition
    ) throws(OptionError) {
        switch name {
        case "eq": condition.tests.append(.among(try ScalarSet([value])))
        case "ne": condition.excluded = try ScalarSet([value])
        case "prefix": condition.tests.append(.prefix(Array(try value.string().utf8)))
        case "exists": condition.exists = try value.bool()
        default:
            guard let order = FilterCondition.Order(rawValue: name) else {
                throw OptionError("there is no such operator; there are eq, ne, gt, gte, lt, lte, prefix and exists")
            }
            condition.tests.append(try limit(order, value))
        }
    }

    private func limit(_ order: FilterCondition.Order, _ value: JSONValue) throws(OptionError) -> FilterCondition.Test {
        switch value {
        case .number(_, let text): return .number(order, JSONNumber(text.utf8))
        case .string(let text): return .text(order, Array(text.utf8))
        default: throw OptionError("expected a number or a string")
        }
    }
}
