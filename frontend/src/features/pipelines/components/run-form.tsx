import { type FieldErrors, useForm } from 'react-hook-form'
import { useNavigate } from 'react-router'
import { explain, InlineError } from '@/components/feedback'
import { Icon } from '@/components/icon'
import { Button } from '@/components/ui/button'
import { Field, Input, Select, Textarea } from '@/components/ui/field'
import { useExecute } from '@/features/pipelines/api'
import {
  DATA_FIELD,
  fieldOfProblem,
  fieldsOf,
  type RunField,
  type RunValues,
  readAll,
  readField,
  startingWith,
} from '@/features/pipelines/run-fields'
import { ApiError, type Schemas } from '@/lib/api'

type RunFormProps = {
  pipeline: Schemas['PipelineDetail']
  /** An earlier execution to start from, instead of the defaults. */
  given?: { inputs: Record<string, unknown>; data: unknown }
}

/** Made from the schema of the inputs; leads to the execution it starts. */
export function RunForm({ pipeline, given }: RunFormProps) {
  const fields = startingWith(fieldsOf(pipeline.inputs_schema), given?.inputs ?? {})
  const data = given?.data ?? null
  const navigate = useNavigate()
  const execute = useExecute(pipeline.id)
  const form = useForm<RunValues>({
    defaultValues: {
      ...Object.fromEntries(fields.map((field) => [field.name, field.initial])),
      [DATA_FIELD.name]: data === null ? '' : JSON.stringify(data),
    },
  })

  const showProblems = (error: Error) => {
    if (!(error instanceof ApiError)) return
    for (const problem of error.problems) {
      const name = fieldOfProblem(problem.path)
      if (name) form.setError(name, { message: problem.message }, { shouldFocus: true })
    }
  }
  const submit = form.handleSubmit((values) => {
    const { inputs, errors } = readAll(fields, values)
    const read = readField(DATA_FIELD, values[DATA_FIELD.name])
    if (!read.ok) errors[DATA_FIELD.name] = read.message
    const failed = Object.entries(errors)
    for (const [name, message] of failed) form.setError(name, { message }, { shouldFocus: true })
    if (failed.length > 0) return
    execute.mutate(
      read.ok && read.value !== undefined ? { inputs, data: read.value } : { inputs },
      {
        onSuccess: ({ execution_id }) => void navigate(`/executions/${execution_id}`),
        onError: showProblems,
      },
    )
  })

  const elsewhere = execute.error && unplacedMessage(execute.error, fields)
  return (
    <form noValidate onSubmit={submit} className="flex flex-col gap-4">
      {fields.length === 0 && (
        <p className="text-muted-foreground">This pipeline declares no inputs.</p>
      )}
      {fields.map((field) => (
        <RunControl key={field.name} field={field} form={form} errors={form.formState.errors} />
      ))}
      <details open={fields.length === 0 || data !== null}>
        <summary className="py-1 text-small text-secondary-foreground">
          Start with data of your own
        </summary>
        <div className="mt-2">
          <RunControl field={DATA_FIELD} form={form} errors={form.formState.errors} />
        </div>
      </details>
      {elsewhere && <InlineError>{elsewhere}</InlineError>}
      <div className="flex justify-end">
        <Button type="submit" variant="primary" disabled={execute.isPending}>
          <Icon name="executions" />
          {execute.isPending ? 'Starting…' : 'Run'}
        </Button>
      </div>
    </form>
  )
}

/** What is wrong beyond the fields, or null when every problem stands at its field. */
function unplacedMessage(error: Error, fields: readonly RunField[]): string | null {
  if (!(error instanceof ApiError)) return explain(error)
  const placed = error.problems.filter((problem) =>
    fields.some((field) => field.name === fieldOfProblem(problem.path)),
  )
  return error.problems.length > 0 && placed.length === error.problems.length ? null : error.message
}

type RunControlProps = {
  field: RunField
  form: ReturnType<typeof useForm<RunValues>>
  errors: FieldErrors<RunValues>
}

const INPUT_TYPES: Partial<Record<RunField['kind'], string>> = {
  date: 'date',
  datetime: 'datetime-local',
}

function RunControl({ field, form, errors }: RunControlProps) {
  const error = errors[field.name]?.message
  const registered = form.register(field.name)
  if (field.kind === 'boolean') {
    return (
      <label className="flex items-start gap-2.5 py-1">
        <input type="checkbox" className="mt-0.5 size-4 accent-foreground" {...registered} />
        <span>
          <span className="font-medium">{field.label}</span>
          {field.hint && (
            <span className="block text-small text-muted-foreground">{field.hint}</span>
          )}
        </span>
      </label>
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

function hintOf(field: RunField) {
  const parts = [
    field.hint && `${field.hint.replace(/\.$/, '')}.`,
    field.kind === 'list' && 'One a line.',
    field.kind === 'json' && 'As JSON.',
    field.initial === '' && field.fallback && `Left empty: ${field.fallback}`,
  ].filter(Boolean)
  return parts.length > 0 ? parts.join(' ') : undefined
}
