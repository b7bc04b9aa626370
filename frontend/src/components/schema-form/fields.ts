/** Fields of a form, read from a JSON Schema: the inputs of a pipeline, the form of an approval. */

type Kind =
  | 'text'
  | 'number'
  | 'integer'
  | 'boolean'
  | 'choice'
  | 'date'
  | 'datetime'
  | 'list'
  | 'json'

export type SchemaField = {
  name: string
  label: string
  hint: string | null
  kind: Kind
  required: boolean
  /** Of a choice, as JSON, so that 1 and "1" stay apart. */
  options: string[]
  /** What the control starts with. */
  initial: string | boolean
  /** What the server takes when the control is left empty; null when it takes nothing. */
  fallback: string | null
}

export type FormValues = Record<string, string | boolean | undefined>

export function fieldsOf(schema: unknown): SchemaField[] {
  if (!isObject(schema) || !isObject(schema.properties)) return []
  const required = Array.isArray(schema.required) ? schema.required : []
  return Object.entries(schema.properties)
    .map(([name, property]) =>
      toField(name, isObject(property) ? property : {}, required.includes(name)),
    )
    .toSorted((a, b) => Number(b.required) - Number(a.required))
}

function toField(name: string, property: Record<string, unknown>, required: boolean): SchemaField {
  const kind = kindOf(property)
  const { default: fallback } = property
  const computed = isComputed(fallback)
  return {
    name,
    label: textOf(property.title) ?? name,
    hint: textOf(property.description),
    kind,
    required: required && fallback === undefined,
    options: Array.isArray(property.enum)
      ? property.enum.map((option) => JSON.stringify(option))
      : [],
    initial: kind === 'boolean' ? fallback === true : computed ? '' : write(kind, fallback),
    fallback:
      fallback === undefined ? null : isComputed(fallback) ? fallback : write(kind, fallback),
  }
}

function kindOf(property: Record<string, unknown>): Kind {
  if (Array.isArray(property.enum)) return 'choice'
  switch (property.type) {
    case 'boolean':
      return 'boolean'
    case 'integer':
      return 'integer'
    case 'number':
      return 'number'
    case 'array':
      return isObject(property.items) && property.items.type === 'string' ? 'list' : 'json'
    case 'string':
      if (property.format === 'date') return 'date'
      return property.format === 'date-time' ? 'datetime' : 'text'
    default:
      return 'json'
  }
}

function write(kind: Kind, value: unknown): string {
  if (value === undefined || value === null) return ''
  if (kind === 'choice') return JSON.stringify(value)
  if (kind === 'list' && Array.isArray(value)) return value.join('\n')
  return typeof value === 'string' && kind !== 'json' ? value : JSON.stringify(value)
}

/** The fields, starting with what an earlier execution was given. */
export function startingWith(fields: SchemaField[], given: Record<string, unknown>): SchemaField[] {
  return fields.map((field) => {
    const value = given[field.name]
    if (value === undefined) return field
    const initial = field.kind === 'boolean' ? value === true : write(field.kind, value)
    return { ...field, initial }
  })
}

export type Read = { ok: true; value: unknown } | { ok: false; message: string }

/** What a control holds, as the API wants it; `undefined` leaves the input to its default. */
export function readField(field: SchemaField, raw: string | boolean | undefined): Read {
  if (typeof raw === 'boolean') return { ok: true, value: raw }
  const text = raw ?? ''
  if (text.trim() === '') {
    return field.required
      ? { ok: false, message: `${field.label} is needed.` }
      : { ok: true, value: undefined }
  }
  switch (field.kind) {
    case 'number':
    case 'integer':
      return readNumber(field, text)
    case 'choice':
      return { ok: true, value: JSON.parse(text) as unknown }
    case 'list':
      return {
        ok: true,
        value: text
          .split('\n')
          .map((line) => line.trim())
          .filter(Boolean),
      }
    case 'datetime':
      return Number.isNaN(Date.parse(text))
        ? { ok: false, message: `'${text}' is not a moment.` }
        : { ok: true, value: new Date(text).toISOString() }
    case 'json':
      return readJson(field, text)
    default:
      return { ok: true, value: text }
  }
}

function readNumber(field: SchemaField, text: string): Read {
  const value = Number(text)
  if (!Number.isFinite(value)) return { ok: false, message: `'${text}' is not a number.` }
  if (field.kind === 'integer' && !Number.isInteger(value)) {
    return { ok: false, message: `${field.label} must be a whole number, not ${text}.` }
  }
  return { ok: true, value }
}

function readJson(field: SchemaField, text: string): Read {
  try {
    return { ok: true, value: JSON.parse(text) as unknown }
  } catch {
    return { ok: false, message: `${field.label} must be JSON, such as ["a", "b"] or {"key": 1}.` }
  }
}

/** The inputs to send; what is left to its default is left out. Fields that cannot be read are named with why. */
export function readAll(
  fields: readonly SchemaField[],
  values: FormValues,
): { inputs: Record<string, unknown>; errors: Record<string, string> } {
  const inputs: Record<string, unknown> = {}
  const errors: Record<string, string> = {}
  for (const field of fields) {
    const read = readField(field, values[field.name])
    if (!read.ok) errors[field.name] = read.message
    else if (read.value !== undefined) inputs[field.name] = read.value
  }
  return { inputs, errors }
}

/** The inputs that differ from what their controls started with; of one that was emptied its default, where that is known. */
export function editedInputs(
  fields: readonly SchemaField[],
  values: FormValues,
): Record<string, unknown> {
  const edited: Record<string, unknown> = {}
  for (const field of fields) {
    const raw = values[field.name]
    const read = readField(
      field,
      raw === '' && !isComputed(field.fallback) ? (field.fallback ?? '') : raw,
    )
    const before = readField(field, field.initial)
    if (!read.ok || read.value === undefined) continue
    if (before.ok && JSON.stringify(before.value) === JSON.stringify(read.value)) continue
    edited[field.name] = read.value
  }
  return edited
}

/** Travels beside the inputs; no input can be called so. */
export const DATA_FIELD: SchemaField = {
  name: '$data',
  label: 'Data',
  hint: 'Given to input stages that name no file of their own, for example [3, 1, 2]',
  kind: 'json',
  required: false,
  options: [],
  initial: '',
  fallback: null,
}

/** The field a problem of the API is about: "inputs.day" or "values.day" → "day". */
export function fieldOfProblem(path: string): string | null {
  return /^(?:inputs|values)\.([^.[]+)/.exec(path)?.[1] ?? null
}

/** Whether it is only known when the execution starts. */
function isComputed(fallback: unknown): fallback is string {
  return typeof fallback === 'string' && fallback.includes('${{')
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function textOf(value: unknown): string | null {
  return typeof value === 'string' && value !== '' ? value : null
}
