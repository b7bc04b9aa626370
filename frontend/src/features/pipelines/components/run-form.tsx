import { useForm } from 'react-hook-form'
import { useNavigate } from 'react-router'
import { InlineError } from '@/components/feedback'
import { Icon } from '@/components/icon'
import { SchemaControl } from '@/components/schema-form/control'
import {
  DATA_FIELD,
  type FormValues,
  fieldsOf,
  readAll,
  readField,
  type SchemaField,
  startingWith,
} from '@/components/schema-form/fields'
import { showProblems, unplacedMessage } from '@/components/schema-form/problems'
import { Button } from '@/components/ui/button'
import { type Again, useExecute } from '@/features/pipelines/api'
import { RerunPlan } from '@/features/pipelines/components/rerun-plan'
import { keepsResults } from '@/features/pipelines/model'
import { useRerunPlan } from '@/features/pipelines/use-rerun-plan'
import type { Schemas } from '@/lib/api'

const PRIORITY_FIELD: SchemaField = {
  name: '$priority',
  label: 'Priority',
  hint: 'Higher ones go first where workers are short, such as 10; 0 is usual',
  kind: 'integer',
  required: false,
  options: [],
  initial: '',
  fallback: null,
}
const AFRESH_FIELD: SchemaField = {
  name: '$afresh',
  label: 'Run every stage',
  hint: 'Take no results that earlier executions have left in the cache.',
  kind: 'boolean',
  required: false,
  options: [],
  initial: false,
  fallback: null,
}

type RunFormProps = {
  pipeline: Schemas['PipelineDetail']
  /** An earlier execution to start from, instead of the defaults. */
  given?: { inputs: Record<string, unknown>; data: unknown }
  /** Run again from a stage of it, taking over what came before. */
  again?: Again
  /** Whose definition and inputs `pipeline` has, where that is not the published one. */
  version?: number
}

/** Made from the schema of the inputs; leads to the execution it starts. */
export function RunForm({ pipeline, given, again, version }: RunFormProps) {
  const fields = startingWith(fieldsOf(pipeline.inputs_schema), given?.inputs ?? {})
  const data = given?.data ?? null
  // Who runs again from a stage wants it to run: no cached result is taken then.
  const mayTakeKept = keepsResults(pipeline.definition) && !again?.stage
  const navigate = useNavigate()
  const execute = useExecute(pipeline.id, again)
  const form = useForm<FormValues>({
    defaultValues: {
      ...Object.fromEntries(fields.map((field) => [field.name, field.initial])),
      [DATA_FIELD.name]: data === null ? '' : JSON.stringify(data),
    },
  })

  const plan = useRerunPlan(again, fields, form.control)
  const submit = form.handleSubmit((values) => {
    const { inputs, errors } = readAll(fields, values)
    const read = readField(DATA_FIELD, values[DATA_FIELD.name])
    if (!read.ok) errors[DATA_FIELD.name] = read.message
    const priority = readField(PRIORITY_FIELD, values[PRIORITY_FIELD.name])
    if (!priority.ok) errors[PRIORITY_FIELD.name] = priority.message
    const failed = Object.entries(errors)
    for (const [name, message] of failed) form.setError(name, { message }, { shouldFocus: true })
    if (failed.length > 0) return
    execute.mutate(
      {
        inputs,
        ...(version !== undefined && { version }),
        ...(read.ok && read.value !== undefined && { data: read.value }),
        ...(priority.ok && typeof priority.value === 'number' && { priority: priority.value }),
        ...(mayTakeKept && values[AFRESH_FIELD.name] === true && { use_cache: false }),
      },
      {
        onSuccess: ({ execution_id }) => void navigate(`/executions/${execution_id}`),
        onError: (error) => showProblems(error, fields, form.setError),
      },
    )
  })

  const errors = { ...plan.problems, ...form.formState.errors }
  const elsewhere = unplacedMessage(execute.error, fields)
  return (
    <form noValidate onSubmit={submit} className="flex flex-col gap-4">
      <RerunPlan plan={plan} />
      {fields.length === 0 && (
        <p className="text-muted-foreground">This pipeline declares no inputs.</p>
      )}
      {fields.map((field) => (
        <SchemaControl key={field.name} field={field} form={form} errors={errors} />
      ))}
      {mayTakeKept && (
        <SchemaControl field={AFRESH_FIELD} form={form} errors={form.formState.errors} />
      )}
      <details open={fields.length === 0 || data !== null}>
        <summary className="py-1 text-small text-secondary-foreground">
          Data of your own, priority
        </summary>
        <div className="mt-2 flex flex-col gap-3">
          <SchemaControl field={DATA_FIELD} form={form} errors={form.formState.errors} />
          <SchemaControl field={PRIORITY_FIELD} form={form} errors={form.formState.errors} />
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
