import { describe, expect, it } from 'vitest'
import { fieldOfProblem, fieldsOf, readAll } from '@/components/schema-form/fields'

const fields = fieldsOf({
  type: 'object',
  properties: {
    note: { type: 'string' },
    day: { type: 'string', format: 'date', default: '${{ date(execution.logical_date) }}' },
    level: { enum: [1, '1', 'all'], default: 1 },
    dry_run: { type: 'boolean', default: true },
    limit: { type: 'integer', title: 'Limit' },
    airports: { type: 'array', items: { type: 'string' }, default: ['JFK', 'LGA'] },
    options: { type: 'object' },
  },
  required: ['limit'],
})

function field(name: string) {
  return fields.find((candidate) => candidate.name === name)
}

describe('fieldsOf', () => {
  it('puts what is needed first', () => {
    expect(fields[0]).toMatchObject({
      name: 'limit',
      label: 'Limit',
      kind: 'integer',
      required: true,
    })
  })

  it('leaves a computed default to the server and says so', () => {
    expect(field('day')).toMatchObject({
      kind: 'date',
      initial: '',
      fallback: '${{ date(execution.logical_date) }}',
    })
  })

  it('starts with the defaults', () => {
    expect(field('dry_run')?.initial).toBe(true)
    expect(field('airports')).toMatchObject({ kind: 'list', initial: 'JFK\nLGA' })
    expect(field('level')).toMatchObject({
      kind: 'choice',
      initial: '1',
      options: ['1', '"1"', '"all"'],
    })
  })

  it('makes no field of a schema without properties', () => {
    expect(fieldsOf({ type: 'object' })).toEqual([])
    expect(fieldsOf(null)).toEqual([])
  })
})

describe('readAll', () => {
  it('reads each control as its type and leaves out what is empty', () => {
    const values = {
      limit: '12',
      level: '"1"',
      airports: ' JFK \n\nEWR',
      dry_run: false,
      day: '',
      options: '{"a": 1}',
    }
    expect(readAll(fields, values)).toEqual({
      inputs: {
        limit: 12,
        level: '1',
        airports: ['JFK', 'EWR'],
        dry_run: false,
        options: { a: 1 },
      },
      errors: {},
    })
  })

  it('names the fields that cannot be read', () => {
    const { errors } = readAll(fields, { limit: '1.5', options: '{' })
    expect(errors.limit).toBe('Limit must be a whole number, not 1.5.')
    expect(errors.options).toContain('must be JSON')
    expect(readAll(fields, { limit: ' ' }).errors.limit).toBe('Limit is needed.')
  })
})

it('finds the field a problem is about', () => {
  expect(fieldOfProblem('inputs.day')).toBe('day')
  expect(fieldOfProblem('inputs.airports[0]')).toBe('airports')
  expect(fieldOfProblem('values.discount')).toBe('discount')
  expect(fieldOfProblem('stages[0].id')).toBeNull()
})
