import { lazy, Suspense, useState } from 'react'
import { Icon } from '@/components/icon'
import { Button } from '@/components/ui/button'
import { Dialog } from '@/components/ui/dialog'
import { SkeletonRows } from '@/components/ui/skeleton'
import type { Trigger } from '@/features/triggers/api'
import { useHasRole } from '@/store/session'

// The form is only needed by who presses the button.
const BackfillForm = lazy(async () => ({
  default: (await import('@/features/triggers/components/backfill-form')).BackfillForm,
}))

/** Start what was missed, or what lies before there was a trigger. */
export function BackfillButton({ trigger }: { trigger: Trigger }) {
  const [open, setOpen] = useState(false)
  const mayRun = useHasRole('operator')
  if (!mayRun) return null
  return (
    <>
      <Button size="small" aria-label={`Backfill ${trigger.id}`} onClick={() => setOpen(true)}>
        <Icon name="clock" className="size-3.5" />
        Backfill
      </Button>
      <Dialog
        open={open}
        onOpenChange={setOpen}
        title={`Backfill ${trigger.id}`}
        description="One execution for each instant that none was started for"
      >
        <Suspense fallback={<SkeletonRows rows={4} label="Loading the form" />}>
          <BackfillForm trigger={trigger} onDone={() => setOpen(false)} />
        </Suspense>
      </Dialog>
    </>
  )
}
