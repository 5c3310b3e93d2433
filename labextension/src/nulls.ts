import { PartialJSONObject, PartialJSONValue } from '@lumino/coreutils';

/** Add fields that are null to a message. Pyodide leaves them out of comm messages. */
export function addNulls(data: PartialJSONObject): PartialJSONObject {
  const { day, estimate, models } = data;
  switch (data.type) {
    case 'state':
      return { ...data, day: addFields(day, 'account') };
    case 'models':
      return Array.isArray(models)
        ? { ...data, models: models.map(each => addFields(each, 'in', 'out')) }
        : data;
    case 'estimate':
      return { ...data, estimate: addFields(estimate, 'typical', 'high') };
    default:
      return data;
  }
}

/** Return null for a missing value, or an object with null in its missing fields. */
function addFields(
  value: PartialJSONValue | undefined,
  ...names: string[]
): PartialJSONValue {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
    ? { ...Object.fromEntries(names.map(name => [name, null])), ...value }
    : (value ?? null);
}
