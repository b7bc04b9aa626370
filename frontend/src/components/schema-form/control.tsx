import type { FieldErrors, useForm } from 'react-hook-form'
import { InlineError } from '@/components/feedback'
import type { FormValues, SchemaField } from '@/components/schema-form/fields'
import { Field, Input, Select, Textarea } from '@/components/ui/field'

type SchemaControlProps = {
  field: SchemaField
  form: ReturnType<typeof useForm<FormValues>>
  errors: FieldErrors<FormValues>
}

const INPUT_TYPES: Partial<Record<SchemaField['kind'], string>> = {
  date: 'date',
  datetime: 'datetime-local',
}

/** One field of a form that is made from a schema. */
export function SchemaControl({ field, form, errors }: SchemaControlProps) {
  const error = errors[field.name]?.message
  const registered = form.register(field.name)
  if (field.kind === 'boolean') {
    return (
      <div>
        <label className="flex items-start gap-2.5 py-1">
          <input type="checkbox" className="mt-0.5 size-4 accent-foreground" {...registered} />
          <span>
            <span className="font-medium">{field.label}</span>
            {field.hint && (
              <span className="block text-small text-muted-foreground">{field.hint}</span>
            )}
          </span>
        </label>
        {error && <InlineError>{error}</InlineError>}
      </div>
    )
  }
  return (
    <Field label={field.label} hint={hintOf(field)} error={error} optional={!field.required}>
      {(control) => {
        if (field.kind === 'choice') {
          return (
            <Select {...control} {...registered} className="w-full">
              {field.initial === '' && <option value="">Choose…</option>}
              {field.options.map((option) => (
                <option key={option} value={option}>
                  {String(JSON.parse(option))}
                </option>
              ))}
            </Select>
          )
        }
        if (field.kind === 'list' || field.kind === 'json') {
          return <Textarea rows={3} spellCheck={false} {...control} {...registered} />
        }
        const numeric = field.kind === 'number' || field.kind === 'integer'
        return (
          <Input
            type={INPUT_TYPES[field.kind] ?? 'text'}
            inputMode={numeric ? 'decimal' : undefined}
            {...control}
            {...registered}
          />
        )
      }}
    </Field>
  )
}

function hintOf(field: SchemaField) {
  const parts = [
    field.hint && `${field.hint.replace(/\.$/, '')}.`,
    field.kind === 'list' && 'One a line.',
    field.kind === 'json' && 'As JSON.',
    field.initial === '' && field.fallback && `Left empty: ${field.fallback}`,
  ].filter(Boolean)
  return parts.length > 0 ? parts.join(' ') : undefined
}
