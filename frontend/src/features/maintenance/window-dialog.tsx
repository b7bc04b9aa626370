import { useState } from 'react'
import { useForm } from 'react-hook-form'
import { explain, InlineError } from '@/components/feedback'
import { Button } from '@/components/ui/button'
import { Dialog } from '@/components/ui/dialog'
import { Field, Input, Select } from '@/components/ui/field'
import { usePlanMaintenance } from '@/features/maintenance/api'
import { forField, standing } from '@/features/maintenance/model'
import { toast } from '@/store/toasts'

type Choices = {
  /** Of which one may be chosen. */
  pipelines: { id: string; name: string }[]
}

type WindowDialogProps = Choices & { open: boolean; onClose: () => void }

export function WindowDialog({ open, onClose, pipelines }: WindowDialogProps) {
  return (
    <Dialog
      open={open}
      onOpenChange={(wanted) => !wanted && onClose()}
      title="Plan maintenance"
      description="What runs in that time raises no insights, and later runs are not compared with it. It may be over already."
    >
      <WindowForm pipelines={pipelines} onDone={onClose} />
    </Dialog>
  )
}

const MINUTE_MS = 60_000
const HOUR_MS = 60 * MINUTE_MS
const ZONE = new Intl.DateTimeFormat().resolvedOptions().timeZone
const LONGEST_REASON = 500
const PLANNED = {
  running: 'Maintenance has begun.',
  coming: 'Maintenance is planned.',
  past: 'That time is left out from now on.',
}

/** One hour, from this minute. */
function fromNow() {
  const now = Math.floor(Date.now() / MINUTE_MS) * MINUTE_MS
  return { pipeline: '', from: forField(now), to: forField(now + HOUR_MS), reason: '' }
}

function WindowForm({ pipelines, onDone }: Choices & { onDone: () => void }) {
  const plan = usePlanMaintenance()
  const [defaultValues] = useState(fromNow)
  const form = useForm({ defaultValues })
  const { errors } = form.formState
  const submit = form.handleSubmit(({ pipeline, from, to, reason }) =>
    plan.mutate(
      {
        begins_at: new Date(from).toISOString(),
        ends_at: new Date(to).toISOString(),
        pipeline_id: pipeline || null,
        reason: reason.trim(),
      },
      {
        onSuccess: (answer) => {
          toast('success', PLANNED[standing(answer, Date.now())])
          onDone()
        },
      },
    ),
  )
  return (
    <form noValidate onSubmit={submit} className="flex flex-col gap-4">
      <Field label="Pipeline">
        {(control) => (
          <Select {...control} {...form.register('pipeline')}>
            <option value="">All pipelines</option>
            {pipelines.map(({ id, name }) => (
              <option key={id} value={id}>
                {name}
              </option>
            ))}
          </Select>
        )}
      </Field>
      <div className="grid grid-cols-2 items-start gap-3 max-tablet:grid-cols-1">
        <Field label="From" hint={`On the clocks of ${ZONE}`} error={errors.from?.message}>
          {(control) => (
            <Input
              {...control}
              type="datetime-local"
              {...form.register('from', { required: 'Say when it begins.' })}
            />
          )}
        </Field>
        <Field label="To" error={errors.to?.message}>
          {(control) => (
            <Input
              {...control}
              type="datetime-local"
              {...form.register('to', {
                required: 'Say when it ends.',
                validate: (to, { from }) => to > from || 'It must end after it begins.',
              })}
            />
          )}
        </Field>
      </div>
      <Field label="Reason" optional error={errors.reason?.message}>
        {(control) => (
          <Input
            {...control}
            placeholder="The warehouse is moved"
            {...form.register('reason', {
              maxLength: {
                value: LONGEST_REASON,
                message: `At most ${LONGEST_REASON} characters.`,
              },
            })}
          />
        )}
      </Field>
      {plan.error && <InlineError>{explain(plan.error)}</InlineError>}
      <div className="flex justify-end">
        <Button type="submit" variant="primary" disabled={plan.isPending}>
          Plan it
        </Button>
      </div>
    </form>
  )
}
